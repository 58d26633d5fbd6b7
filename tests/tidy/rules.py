"""The house rules for single files. Each names what to do instead, and carries an example it must find (bad)
and one it must leave alone (good): selftest.py tries both, so a rule that cannot fail does not stand here."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from source import Source

LINE_MAX = 110
FILE_MAX = 700
FUNCTION_MAX = 80

Check = Callable[[Source], Iterator[int]]


@dataclass(frozen=True)
class Rule:
    name: str
    instead: str
    check: Check
    bad: tuple[str, str]
    good: tuple[str, str]


def code(pattern: str, applies: Callable[[Source], bool]) -> Check:
    """Lines of C++ code that match, in the files where the rule applies."""
    regex = re.compile(pattern)

    def check(source: Source) -> Iterator[int]:
        if source.is_cxx and applies(source):
            yield from (n for n, line in enumerate(source.code, 1) if regex.search(line))

    return check


def text(pattern: str, applies: Callable[[Source], bool] = lambda source: True) -> Check:
    """Lines of any text that match."""
    regex = re.compile(pattern)

    def check(source: Source) -> Iterator[int]:
        if applies(source):
            yield from (n for n, line in enumerate(source.lines, 1) if regex.search(line))

    return check


def product_outside(*folders: str) -> Callable[[Source], bool]:
    return lambda source: source.is_product and not source.under(*folders)


def cxx_outside(*folders: str) -> Callable[[Source], bool]:
    return lambda source: source.is_cxx and not source.under(*folders)


def missing_pragma_once(source: Source) -> Iterator[int]:
    if source.is_header and "#pragma once" not in source.lines:
        yield 1


def short_opening(source: Source) -> Iterator[int]:
    """A first line that is a sentence: what this is."""
    if source.is_header and source.under("src"):
        first = source.lines[0] if source.lines else ""
        if not first.startswith("// ") or len(first.split()) < 6:
            yield 1


def long_file(source: Source) -> Iterator[int]:
    if source.suffix in (".cc", ".h", ".py", ".sh", ".mjs", ".js") and len(source.lines) > FILE_MAX:
        yield FILE_MAX + 1


def long_line(source: Source) -> Iterator[int]:
    if source.is_cxx or source.suffix in (".py", ".sh", ".mjs", ".js", ".cmake") or source.name == "dev":
        yield from (n for n, line in enumerate(source.lines, 1) if len(line) > LINE_MAX)


OTHER_BLOCKS = "namespace|class|struct|union|enum|extern|if|for|while|switch|do|else|TEST"
NOT_A_FUNCTION = re.compile(rf"^\s*({OTHER_BLOCKS})\b")


def long_cxx_function(source: Source) -> Iterator[int]:
    """From a line at indent 0 or 2 that opens a body, to the closing brace at the same indent."""
    if not source.is_product:
        return
    for first, line in enumerate(source.code):
        indent = len(line) - len(line.lstrip())
        if indent not in (0, 2) or not line.rstrip().endswith("{") or "(" not in line:
            continue
        if NOT_A_FUNCTION.match(line):
            continue
        end = " " * indent + "}"
        for last in range(first + 1, len(source.code)):
            if source.code[last].startswith(end):
                if last - first + 1 > FUNCTION_MAX:
                    yield first + 1
                break


def long_python_function(source: Source) -> Iterator[int]:
    if source.suffix != ".py":
        return
    for node in ast.walk(ast.parse(source.text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            if (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION_MAX:
                yield node.lineno


def third_party_in_header(source: Source) -> Iterator[int]:
    if not (source.is_header and source.under("src")):
        return
    libraries = r"boost/beast|rocksdb/|Python\.h|simdjson|expat|toml\+\+|CLI/|openssl/|prometheus/|systemd/"
    heavy = re.compile(rf'#include [<"]({libraries})')
    asio = re.compile(r'#include [<"]boost/')
    coroutines = source.under("src/net", "src/sqs", "src/s3", "src/api", "src/remote", "src/worker")
    for n, line in enumerate(source.code, 1):
        if heavy.match(line) or (asio.match(line) and not coroutines):
            yield n


HOMES = {
    r"boost/beast": ("src/net",),
    r"rocksdb/": ("src/storage/index",),
    r"simdjson|expat": ("src/codec",),
    r"toml\+\+": ("src/codec", "src/headrace"),
    r"CLI/|prometheus/": ("src/headrace",),
    r"systemd/": ("src/headrace", "src/os"),
    r"openssl/": ("src/codec", "src/os", "src/net", "src/host"),
    r"boost/": ("src/net", "src/sqs", "src/s3", "src/api", "src/remote", "src/worker", "src/headrace"),
}


def third_party_elsewhere(source: Source) -> Iterator[int]:
    """The first entry of HOMES that matches an include says where it may stand."""
    if not (source.is_product and not source.is_header):
        return
    for n, line in enumerate(source.code, 1):
        for library, homes in HOMES.items():
            if re.match(rf'#include [<"]({library})', line):
                if not source.under(*homes):
                    yield n
                break


def missing_newline(source: Source) -> Iterator[int]:
    if source.text and not source.text.endswith("\n"):
        yield len(source.lines)


WHOLE_CXX = 'namespace hr {\nint f() { return 1; }\n}\n'
HEADER_OPENING = "// What this is, and who owns it.\n#pragma once\n"
UNFINISHED = r"\b(TO" + r"DO|FIX" + r"ME|X" + r"XX|HA" + r"CK)\b"

# What waits on the operating system in a thread of its own: the shells of callers without a reactor.
BLOCKING = ("src/net/blocking_connection.cc", "src/remote/host_outside.cc")

RULES = [
    Rule("thread", "threads belong to commit, storage/log, net and headrace: give the work to one of theirs",
         code(r"std::(thread|jthread|async)\b|pthread_create",
              product_outside("src/commit", "src/storage/log", "src/net", "src/headrace", "src/os")),
         ("src/queue/a.cc", "std::thread t([] {});\n"), ("src/net/a.cc", "std::thread t([] {});\n")),
    Rule("sleep", "wait for the event with a deadline (net), or advance os::Clock in a test",
         code(r"sleep_(for|until)|\b(u|nano)?sleep\(", lambda source: source.under("src", "tests", "fuzz")),
         ("src/net/a_test.cc", "std::this_thread::sleep_for(1ms);\n"),
         ("src/net/a_test.cc", "// sleep_for is not how to wait\n")),
    Rule("clock", "take `Time now` as an argument, or an os::Clock in the constructor",
         code(r"_clock::now\b|\b(std::)?time\((nullptr|NULL|0)\)|gettimeofday|clock_gettime",
              lambda source: source.under("src") and not source.under("src/os/linux", *BLOCKING)),
         ("src/queue/a.cc", "auto now = std::chrono::steady_clock::now();\n"),
         ("src/os/linux/clock.cc", "::clock_gettime(CLOCK_BOOTTIME, &t);\n")),
    Rule("entropy", "take random bytes from os::Entropy; a simulation seeds its own generator",
         code(r"\bs?rand\(|random_device|getrandom|RAND_bytes",
              lambda source: source.under("src") and not source.under("src/os")),
         ("src/sqs/a.cc", "std::random_device device;\n"), ("src/sqs/a.cc", "entropy.fill(bytes);\n")),
    Rule("catch-all", "return a Result; exceptions end where a task or thread starts (net, commit, headrace)",
         code(r"catch \(\.\.\.\)", product_outside("src/net", "src/commit", "src/headrace")),
         ("src/object/a.cc", "} catch (...) {\n"), ("src/net/spawn.cc", "} catch (...) {\n")),
    Rule("detached", "start coroutines with net::spawn(gate, name, task), which reports what they throw",
         code(r"\bdetached\b", lambda source: True),
         ("src/sqs/a.cc", "co_spawn(executor, task(), asio::detached);\n"),
         ("src/sqs/a.cc", "spawn(gate, name, task());\n")),
    Rule("iostream", "text by fmt, what a person must know by hr::Log, files by os::Disk",
         code(r"#include <(iostream|fstream|sstream|filesystem)>|\bf?printf\(",
              product_outside("src/headrace", "src/base", "src/os/linux")),
         ("src/queue/a.cc", "#include <iostream>\n"), ("src/queue/a.cc", "#include <string>\n")),
    Rule("heavy-header", "keep it in a .cc: put what callers need behind a type of ours (asio: net, sqs, s3)",
         third_party_in_header,
         ("src/net/a.h", HEADER_OPENING + "#include <boost/beast/http.hpp>\n"),
         ("src/net/a.h", HEADER_OPENING + "#include <boost/asio/awaitable.hpp>\n")),
    Rule("library-home", "use the layer that wraps that library: HOMES in tests/tidy/rules.py",
         third_party_elsewhere,
         ("src/sqs/a.cc", "#include <simdjson.h>\n"), ("src/codec/a.cc", "#include <simdjson.h>\n")),
    Rule("using-namespace", "name what you use: in a header it reaches everybody who includes it",
         code(r"^\s*using namespace", lambda source: source.is_header),
         ("src/net/a.h", HEADER_OPENING + "using namespace std;\n"),
         ("src/net/a.cc", "using namespace std::chrono_literals;\n")),
    Rule("assert", "HR_CHECK, which stays on in every build; a Result for input and for bytes from disk",
         code(r"\bassert\(|#include <cassert>", lambda source: source.under("src")),
         ("src/queue/a.cc", "assert(x);\n"), ("src/queue/a.cc", "static_assert(sizeof(int) == 4);\n")),
    Rule("throwing-parse", "std::from_chars (or base's and codec's parsers): it neither throws nor guesses",
         code(r"\b(std::sto[a-z]+|ato[ifl]|atoll|strto[a-z]+|sscanf)\(", lambda source: source.is_product),
         ("src/s3/a.cc", "int n = std::stoi(text);\n"), ("src/s3/a.cc", "std::from_chars(a, b, n);\n")),
    Rule("regex", "parse by hand in codec: std::regex recurses as deep as its input is long",
         code(r"std::regex|#include <regex>", lambda source: source.is_product),
         ("src/s3/a.cc", "#include <regex>\n"), ("src/s3/a.cc", "// a std::regex would recurse\n")),
    Rule("environment", "main reads the environment and passes values down",
         code(r"\bgetenv\(", product_outside("src/headrace", *BLOCKING)),
         ("src/s3/a.cc", "auto v = std::getenv(name);\n"), ("src/headrace/a.cc", "std::getenv(name);\n")),
    Rule("exit", "return a Status: only main ends the process (a broken invariant: HR_CHECK)",
         code(r"\b(std::|::|_)?(exit|abort|_Exit|quick_exit|terminate)\(",
              product_outside("src/headrace", "src/base", "src/os/linux", "src/worker/process.cc")),
         ("src/commit/a.cc", "std::abort();\n"), ("src/commit/a.cc", "stop_.request_stop();\n")),
    Rule("nolint", "NOLINT(the-check): and the reason, on the same line",
         text(r"NOLINT(?!(NEXTLINE|BEGIN|END)?\([a-z][a-z0-9*,.-]+\): \w)", lambda source: source.is_cxx),
         ("src/net/a.cc", "f(x);  // NOLINT\n"),
         ("src/net/a.cc", "f(x);  // NOLINT(bugprone-use-after-move): clear() makes it usable again\n")),
    Rule("test-name", "a test's name is a sentence: TEST(Log, a_torn_tail_is_cut)",
         code(r"^(TEST|TEST_F|TEST_P|TYPED_TEST|RC_GTEST_PROP)\(\w+, (?!\w+_\w+[,)])\w",
              lambda source: True),
         ("src/net/a_test.cc", "TEST(Log, torn) {\n"),
         ("src/net/a_test.cc", "TEST(Log, a_torn_tail_is_cut) {\n")),
    Rule("unfinished", "finish it, or file an issue and leave the code without it",
         text(UNFINISHED, lambda source: source.suffix not in (".json", "")),
         ("src/net/a.cc", "// TO" + "DO: later\n"), ("src/net/a.cc", "// later: nothing\n")),
    Rule("pragma-once", "#pragma once, below the opening comment", missing_pragma_once,
         ("src/net/a.h", "// What.\n// Who.\nint f();\n"), ("src/net/a.h", HEADER_OPENING)),
    Rule("opening", "one to six lines first: what this is, who owns it, what can fail", short_opening,
         ("src/net/a.h", "// What.\n#pragma once\n"), ("src/net/a.h", HEADER_OPENING)),
    Rule("file-length", f"over {FILE_MAX} lines: split it where its sentence needs an 'and'", long_file,
         ("src/net/a.cc", "int x;\n" * (FILE_MAX + 1)), ("src/net/a.cc", "int x;\n" * FILE_MAX)),
    Rule("function-length", f"over {FUNCTION_MAX} lines: look for the missing noun", long_cxx_function,
         ("src/net/a.cc", "int f(int a) {\n" + "  g();\n" * FUNCTION_MAX + "}\n"),
         ("src/net/a.cc", "namespace hr {\n" + "int g();\n" * 200 + "}\n")),
    Rule("python-function-length", f"over {FUNCTION_MAX} lines: look for the missing noun",
         long_python_function,
         ("tests/e2e/a.py", "def f():\n" + "    g()\n" * FUNCTION_MAX),
         ("tests/e2e/a.py", "def f():\n" + "    g()\n" * (FUNCTION_MAX - 1))),
    Rule("line-length", f"over {LINE_MAX} columns: break the line", long_line,
         ("tests/e2e/a.py", "x" * (LINE_MAX + 1) + "\n"), ("tests/e2e/a.py", "x" * LINE_MAX + "\n")),
    Rule("tab", "spaces", text(r"\t", lambda source: source.name != "Makefile"),
         ("src/net/a.cc", "\tint x;\n"), ("src/net/a.cc", "  int x;\n")),
    Rule("trailing-space", "no spaces at a line's end", text(r"[ \t]+$"),
         ("src/net/a.cc", "int x; \n"), ("src/net/a.cc", "int x;\n")),
    Rule("final-newline", "end the file with a newline", missing_newline,
         ("src/net/a.cc", "int x;"), ("src/net/a.cc", WHOLE_CXX)),
    Rule("machine-path", "a path below the checkout, or an argument: this one exists on one machine only",
         text(r"(?<![\w.$}~*\"])/(home|root|Users)/\w"),
         ("dev", "cd /ho" + "me/someone/headrace\n"), ("dev", "cd build/home/x\n")),
    Rule("outside-page", "say it here, or name ARCHITECTURE.md: a reader has this checkout only",
         text(r"\b(DES" + r"IGN|STY" + r"LE)(\.md\b| \d|:)"),
         ("src/net/a.h", "// Decides nothing (DES" + "IGN 5).\n"),
         ("src/net/a.h", "// see ARCHITECTURE.md\n")),
    Rule("lock-host", "a lock file names versions and hashes: npm's omit-lockfile-registry-resolved=true",
         text(r'"resolved"', lambda source: source.name == "package-lock.json"),
         ("tests/clients/package-lock.json", '"resolved": "https://registry/x.tgz"\n'),
         ("tests/clients/package-lock.json", '"integrity": "sha512-x"\n')),
]
