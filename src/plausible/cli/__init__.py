"""The command line: each verb calls the method of `Run` of its name. Nothing here imports torch until one is needed."""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from plausible.cli import verbs
from plausible.cli.compare import compare
from plausible.cli.training import SIGINT, TrainOptions, resume, train
from plausible.errors import PlausibleError
from plausible.version import __version__

__all__ = ["main"]

BAD_INPUT = 2

DESCRIPTION = """Train, sample and score generative models: data that does not exist but could.

Exit status: 0 done; 1 a claim that does not hold; 2 bad input, a diverged training, or a file that could not be
read or written; 130 stopped by SIGINT (Ctrl-C), 143 by SIGTERM and 129 by SIGHUP, all after saving: continue with
`plausible resume RUN`. `plausible --version` prints the version."""

VERBS: dict[str, Callable[..., Any]] = {
    "train": TrainOptions,
    "resume": resume,
    "sample": verbs.sample,
    "score": verbs.score,
    "encode": verbs.encode,
    "decode": verbs.decode,
    "reconstruct": verbs.reconstruct,
    "features": verbs.features,
    "interpolate": verbs.interpolate,
    "traverse": verbs.traverse,
    "complete": verbs.complete,
    "explain": verbs.explain,
    "sampling-order": verbs.sampling_order,
    "evaluate": verbs.evaluate,
    "verify": verbs.verify,
    "report": verbs.report,
    "compare": compare,
    "theory": verbs.theory,
    "models": verbs.models,
    "datasets": verbs.datasets,
}


_LOG = logging.getLogger("plausible")


class _OnStderr(logging.Handler):
    """What the library is doing for longer than a moment."""

    def emit(self, record: logging.LogRecord) -> None:
        print(f"plausible: {record.getMessage()}", file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status (mistakes in the options exit through tyro, with 2)."""
    words = list(sys.argv[1:] if argv is None else argv)
    warnings.showwarning = _say_warning  # ty: ignore[invalid-assignment]
    _LOG.setLevel(logging.INFO)
    _LOG.handlers = [_OnStderr()]
    if words == ["--version"]:
        print(f"plausible {__version__}")
        return 0
    try:
        if words[:1] == ["train"]:
            return train(words[1:])
        return tyro.extras.subcommand_cli_from_dict(
            VERBS, args=words, prog="plausible", description=DESCRIPTION, sort_subcommands=False
        )
    except PlausibleError as error:
        print(f"plausible: error: {error}", file=sys.stderr)
        return BAD_INPUT
    except KeyboardInterrupt:
        print("plausible: stopped by Ctrl-C", file=sys.stderr)
        return SIGINT
    except BrokenPipeError:  # `plausible models | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _say_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"plausible: warning: {message}", file=sys.stderr)
