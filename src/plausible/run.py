"""The run: `train` and `load` return one, and its methods are the verbs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self

from torch import nn

from plausible import jobs
from plausible.announcing import announce
from plausible.data import Data
from plausible.data import load as load_data
from plausible.errors import PlausibleError
from plausible.jobs.loading import as_asked
from plausible.jobs.opened import Opened
from plausible.jobs.verify import Verification
from plausible.models.build import networks_in
from plausible.progress import show_warnings, watching
from plausible.report.summary import in_words, summary

__all__ = ["Run", "load", "train"]

Out = str | os.PathLike[str] | None


class Run(Opened):
    """A trained model with its run folder.

    `repr(run)` says what it is and how far it is trained; in a notebook it shows samples, curves and metrics. Methods
    return data in the container that the training data came in (a DataFrame, an array, a tensor, PIL images); with
    `out=` they write a file instead and return its path.

    Attributes:
        path: the run folder.
        config: everything needed to repeat it.
        schema: what it stores about its data: column names, image size, labels, domain, ranges.
        model: the torch module.
        tick: the tick of the loaded checkpoint.
    """

    def __repr__(self) -> str:
        return f"<Run {in_words(self.folder)}>"

    def _repr_html_(self) -> str:
        return summary(self.folder)

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @property
    def latent(self) -> int:
        """The number of dimensions of a code: `decode` takes (n, latent).

        Raises:
            PlausibleError: the model has no codes.
        """
        found = getattr(self.model, "latent", None)
        if not isinstance(found, int):
            raise PlausibleError(f"{type(self.model).__name__} has no latent space, so no codes")
        return found

    def stopped(self) -> Mapping[str, Any] | None:
        """When and why training stopped: tick, reason, maybe message; None while it is running or after a kill."""
        return self.folder.stopped()

    def events(self) -> list[dict[str, Any]]:
        """The log of the training: start, ticks, checkpoint, valid, samples, stop."""
        return self.folder.events()

    # ------------------------------------------------------------------ the verbs
    def resume(
        self,
        *,
        epochs: float | None = None,
        minutes: float | None = None,
        patience: int | None = None,
        core_minutes: float | None = None,
        data: Any = None,
        set: Mapping[str, Any] | None = None,  # noqa: A002 - as the command line's --set
        progress: bool | Callable[[Any], None] = True,
    ) -> Self:
        """Continue from the newest checkpoint, bit for bit as if training had never stopped. See `jobs.resume`."""
        with watching(progress) as watch:
            rows = load_data(data, **as_asked(self.config)) if data is not None else self._in_memory()
            jobs.resume(
                self.folder,
                epochs=epochs,
                minutes=minutes,
                patience=patience,
                core_minutes=core_minutes,
                data=rows,
                set=set,
                watch=watch,
                model=self._own.model,
                networks=self._own.networks,
            )
        if progress:
            show_warnings(self.folder)
        self._data = rows or self._data
        self.reread()
        return self

    def _in_memory(self) -> Data | None:
        """The run's data if they exist in memory only."""
        return self._data if self.config.data.source is None else None

    def sample(
        self,
        n: int | None = None,
        *,
        seed: int = 0,
        label: Any = None,
        where: str | None = None,
        as_: str | None = None,
        out: Out = None,
        say: Callable[[str], object] | None = None,
    ) -> Any:
        """Sample n new examples (default 64), of a table those that meet a condition. See `jobs.sample`."""
        return jobs.sample(self, n, seed=seed, label=label, where=where, as_=as_, out=out, say=say)

    def score(
        self,
        data: Any,
        *,
        by: str | None = None,
        per_pixel: bool = False,
        samples: int = 50,
        starts: int = 3,
        steps: int = 100,
        calibrate: bool = False,
        fdr: float | None = None,
        top: int | None = None,
        seed: int = 0,
        out: Out = None,
        say: Callable[[str], object] | None = None,
    ) -> Any:
        """Score each row, (n,); higher is more plausible, but for the critic. See `jobs.score`."""
        return jobs.score(
            self,
            data,
            by=by,
            per_pixel=per_pixel,
            samples=samples,
            starts=starts,
            steps=steps,
            calibrate=calibrate,
            fdr=fdr,
            top=top,
            seed=seed,
            out=out,
            say=say,
        )

    def explain(self, data: Any, *, out: Out = None) -> Any:
        """How unexpected each cell of a table's rows is, given the others of its row. See `jobs.explain`."""
        return jobs.explain(self, data, out=out)

    def encode(self, data: Any, *, out: Out = None) -> Any:
        """Encode each row, (n, latent). See `jobs.encode`."""
        return jobs.encode(self, data, out=out)

    def decode(self, z: Any, *, label: Any = None, as_: str | None = None, out: Out = None) -> Any:
        """Decode codes, (n, latent); a tensor keeps its graph. See `jobs.decode`."""
        return jobs.decode(self, z, label=label, as_=as_, out=out)

    def reconstruct(self, data: Any, *, as_: str | None = None, out: Out = None) -> Any:
        """Reconstruct each row from its code. See `jobs.reconstruct`."""
        return jobs.reconstruct(self, data, as_=as_, out=out)

    def features(self, data: Any, *, out: Out = None) -> Any:
        """Features of each row, (n, units). See `jobs.features`."""
        return jobs.features(self, data, out=out)

    def interpolate(
        self,
        a: Any,
        b: Any,
        n: int | None = None,
        *,
        straight: bool = False,
        as_: str | None = None,
        out: Out = None,
    ) -> Any:
        """Interpolate from a to b in n steps (default 12). See `jobs.interpolate`."""
        return jobs.interpolate(self, a, b, n, straight=straight, as_=as_, out=out)

    def traverse(self, n: int | None = None, *, as_: str | None = None, out: Out = None) -> Any:
        """Decode along each dimension of the code. See `jobs.traverse`."""
        return jobs.traverse(self, n, as_=as_, out=out)

    def complete(
        self,
        rows: Any,
        n: int | None = None,
        *,
        given: Any = None,
        median: bool = False,
        seed: int = 0,
        as_: str | None = None,
        out: Out = None,
    ) -> Any:
        """Complete rows of which a part is given, or fill the missing cells of a table. See `jobs.complete`."""
        return jobs.complete(self, rows, n, given=given, median=median, seed=seed, as_=as_, out=out)

    def sampling_order(self, n: int | None = None, *, seed: int = 0, out: str | os.PathLike[str]) -> Path:
        """Write a picture of samples as they are generated, pixel by pixel. See `jobs.sampling_order`."""
        return jobs.sampling_order(self, n, seed=seed, out=out)

    def evaluate(
        self,
        data: Any = None,
        *,
        metrics: Sequence[str] | None = None,
        split: Literal["valid", "test"] = "test",
    ) -> dict[str, Any]:
        """Evaluate the run on its test split, or on the valid one. See `jobs.evaluate`."""
        return jobs.evaluate(self, data, metrics=metrics, split=split)

    def verify(self, *, seed: int = 0) -> Verification:
        """Verify the run's density. See `jobs.verify`."""
        return jobs.verify(self, seed=seed)

    def report(self) -> Path:
        """Write report.html, a page that opens offline, and return its path."""
        return jobs.report(self.folder)


def train(
    model: str | type | None = None,
    data: Any = None,
    *,
    y: Any = None,
    target: str | None = None,
    view: str = "",
    columns: Mapping[str, str] | None = None,
    drop: Sequence[str] = (),
    codes_of: Run | str | os.PathLike[str] | None = None,
    like: Run | str | os.PathLike[str] | None = None,
    weights: bool = False,
    progress: bool | Callable[[Any], None] = True,
    **options: Any,
) -> Run:
    """Train a model and write a run folder.

    Args:
        model: a name that `plausible models` lists, or a subclass of `plausible.game.GenerativeModel`.
        data: a SPEC (see `plausible datasets`), a path, an array, a tensor, a map-style Dataset, a pandas, polars or
            pyarrow table, a list of PIL images, or a dict of these named train, valid and test; default digits.
        y: the rows' labels, (n,).
        target: the column that holds the labels.
        view: how to see the data, as in a SPEC: "binary", "class=3", "domain=unit".
        columns: column of a table → its type, instead of the one found: {"age": "integer", "cut":
            "ordinal:Fair<Good<Ideal"}; see `plausible.data.columns`.
        drop: columns of a table to leave out.
        codes_of: a run of an autoencoder, a VAE or an adversarial autoencoder: the model learns the codes that it gives
            the data, and samples through its decoder.
        like: a run to repeat: its settings are the defaults.
        weights: start from the weights of `like`.
        progress: whether to show progress, or a function to call with it.
        options: training options (preset, epochs, minutes, core_minutes, batch, shards, seed, out, ema, precision,
            augment, keep, patience; see `jobs.train`), the model's own, and those of its recipe (`plausible train MODEL
            --help`). Where units of hidden layers are an option, a torch module may stand instead: see `jobs.train`.

    Raises:
        PlausibleError: bad input (nothing is written then), a full disk, or a diverged training.
        KeyboardInterrupt: Ctrl-C, after saving.
    """
    with watching(progress) as watch:
        if data is None and like is None and codes_of is None:
            data = "digits"
        if data is None and like is None and isinstance(codes_of, Run):
            data = codes_of._in_memory()
        if isinstance(like, Run):
            data = like._in_memory() if data is None else data
            model = model or like._own.model
            options = dict[str, Any](like._own.networks) | options
        how: dict[str, Any] = {"y": y, "target": target, "view": view, "columns": columns, "drop": drop}
        rows = None if data is None else load_data(data, **how)
        folder = jobs.train(
            model,
            rows,
            **(how if rows is None else {}),
            codes_of=codes_of,
            like=like,
            weights=weights,
            watch=watch,
            say=announce if progress is True else None,
            **options,
        )
    if progress:
        show_warnings(folder)
    own = model if _is_own(model) else None
    return Run(folder.path, model=own, data=rows, networks=networks_in(options))


def _is_own(model: str | type | None) -> bool:
    """Whether the model is not part of plausible, and was named here by the user."""
    return isinstance(model, type) or (model is not None and ":" in model)


def load(
    run: Run | str | os.PathLike[str],
    *,
    at: int | None = None,
    model: type | str | None = None,
    **networks: nn.Module,
) -> Run:
    """Open a run folder.

    Args:
        run: the folder.
        at: the tick of a checkpoint; default the best on the valid rows, else the newest.
        model: the class of a model that is not part of plausible, or its "module:Class". A run never imports code that
            it names itself.
        networks: networks like those that the model was given when it was trained, by their options' names:
            `load("runs/x", generator=MyNet())`. Their weights are the run's.

    Raises:
        PlausibleError: this is no run, or its configuration is damaged.
    """
    for name, network in networks.items():
        if not isinstance(network, nn.Module):
            raise PlausibleError(f"load: {name} must be a torch module, not {type(network).__name__}")
    if not isinstance(run, Run):
        return Run(os.fspath(run), at=at, model=model, networks=networks)
    if at is None and model is None and not networks:
        return run
    own = run._own
    return Run(
        run.path, at=at, model=model or own.model, data=run._data, networks={**own.networks, **networks}
    )
