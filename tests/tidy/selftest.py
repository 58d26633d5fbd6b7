"""Every rule finds its bad example and leaves its good one alone: a check that cannot fail is no check."""

import unittest
from pathlib import Path

from documents import check_layers, check_seed, drawn
from rules import RULES
from source import Source
from tidy import check_file

ROOT = Path(__file__).resolve().parents[2]


class EveryRule(unittest.TestCase):
    def test_finds_its_bad_example(self) -> None:
        for rule in RULES:
            with self.subTest(rule.name):
                self.assertIn(rule.name, {finding.rule for finding in check_file(Source(*rule.bad))})

    def test_leaves_its_good_example_alone(self) -> None:
        for rule in RULES:
            with self.subTest(rule.name):
                self.assertNotIn(rule.name, {finding.rule for finding in check_file(Source(*rule.good))})

    def test_has_a_name_of_its_own(self) -> None:
        self.assertEqual(len({rule.name for rule in RULES}), len(RULES))


class Code(unittest.TestCase):
    def test_is_what_is_left_without_comments_and_strings(self) -> None:
        source = Source("src/a/a.cc", 'f("assert(x)");  // assert(y)\n/* assert(\nz) */ g(1\'000);\n')
        self.assertNotIn("assert", "".join(source.code))
        self.assertIn("g(1'000)", source.code[2])


DIAGRAM = '```mermaid\ngraph TB\n subgraph "Group"\n A[One]\n end\n A --> B[Two<br/>Lines]\n```\n'
TABLE = (
    "| Box or arrow | In Headrace | Evidence | Test |\n| --- | --- | --- | --- |\n"
    "| [Group] | x | x | not yet |\n| One | x | x | `tests/tidy/selftest.py` |\n"
    "| Two Lines | x | x | not yet |\n| One → Two Lines | x | x | not yet |\n"
)


class SeedPage(unittest.TestCase):
    def findings(self, table: str) -> list[str]:
        page = "".join(f"## Diagram {n}\n{DIAGRAM}\n{table}\n" for n in range(5))
        return [finding.message for finding in check_seed(page, ROOT)]

    def test_names_groups_boxes_and_arrows(self) -> None:
        self.assertEqual(drawn(DIAGRAM), ["[Group]", "One", "Two Lines", "One → Two Lines"])

    def test_passes_with_every_row(self) -> None:
        self.assertEqual(self.findings(TABLE), [])

    def test_fails_without_one_row(self) -> None:
        for line in TABLE.splitlines(keepends=True)[2:]:
            self.assertEqual(len(self.findings(TABLE.replace(line, ""))), 5)

    def test_fails_on_a_test_that_is_not_there(self) -> None:
        self.assertEqual(len(self.findings(TABLE.replace("selftest.py", "missing.py"))), 5)

    def test_fails_on_an_empty_cell(self) -> None:
        self.assertEqual(len(self.findings(TABLE.replace("| One | x | x |", "| One | x |  |"))), 5)

    def test_fails_with_four_diagrams(self) -> None:
        page = "".join(f"## Diagram {n}\n{DIAGRAM}\n{TABLE}\n" for n in range(4))
        self.assertTrue(list(check_seed(page, ROOT)))


class LayerTable(unittest.TestCase):
    def test_fails_on_a_missing_layer_and_on_a_wrong_level(self) -> None:
        cmake = "hr_layer(base     LEVEL 0 LIBS x)\n"
        self.assertEqual(list(check_layers(cmake, "| `base` | 0 | ids |\n")), [])
        self.assertEqual(len(list(check_layers(cmake, "| `base` | 1 | ids |\n"))), 1)
        self.assertEqual(len(list(check_layers(cmake, ""))), 1)


if __name__ == "__main__":
    unittest.main()
