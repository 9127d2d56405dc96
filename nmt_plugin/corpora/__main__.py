"""`python -m nmt_plugin.corpora CORPUS ...`: one corpus folder from one command; see `--help`."""

import argparse

from nmt_plugin.corpora import databin
from nmt_plugin.corpora.commands import iwslt14, libreoffice, text
from shared.errors import exit_on_user_error

EXAMPLES = """examples:
  python -m nmt_plugin.corpora iwslt14 --pair en-de --output data/nmt/iwslt14.en-de --vocab-size 10000
  python -m nmt_plugin.corpora iwslt14 --pair en-ru --source ru-en.tgz --output data/nmt/iwslt14.en-ru
  python -m nmt_plugin.corpora libreoffice --pair en-de --source data/libreoffice-help --output data/nmt/lo.en-de
  python -m nmt_plugin.corpora text --source-lang en --target-lang fr --train a.en a.fr b.en.gz b.fr.gz \\
      --valid dev.en dev.fr --test test.en test.fr --output data/nmt/mine.en-fr
"""


def main(arguments: list[str] | None = None) -> None:
    """Parse the command line and build one corpus; a user's mistake ends with one line and exit status 2."""
    options = _parser().parse_args(arguments)
    with exit_on_user_error():
        databin.require_fairseq()
        options.build(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m nmt_plugin.corpora",
        description="Text in, fairseq data-bin out. Each corpus has its own options: CORPUS --help.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    corpora = parser.add_subparsers(required=True, metavar="CORPUS")
    for command in (iwslt14, libreoffice, text):
        command.add_parser(corpora)
    return parser


if __name__ == "__main__":
    main()
