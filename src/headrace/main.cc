// The program: `headrace ROLE`. Everything it does is in commands.cc.
#include "headrace/commands.h"

int main(int argc, char** argv) { return hr::run_command_line(argc, argv); }
