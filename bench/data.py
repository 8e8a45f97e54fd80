"""The data room beside other tools, in one run: deduplication, then encoding and packing against the tokenizer.

    python -m bench.data --texts FOLDER --peers PEERS

FOLDER and PEERS are those of bench.minhash, which tells how to make them.
"""

import argparse
import subprocess
import sys


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--texts", required=True)
    parser.add_argument("--peers", required=True)
    args = parser.parse_args()
    for words in (("bench.minhash", "--texts", args.texts, "--peers", args.peers), ("bench.pack",)):
        print(f"# python -m {' '.join(words)}", flush=True)
        subprocess.run([sys.executable, "-m", *words], check=True)


if __name__ == "__main__":
    main()
