"""A SPEC is cut as it was meant, or the error says what there is."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plausible.data import Spec, datasets, parse_spec
from plausible.errors import PlausibleError

LABELS = st.text(
    st.characters(blacklist_characters=":", blacklist_categories=("Cs",)), min_size=1, max_size=8
)


@given(
    base=st.sampled_from(["digits", "mnist", "ring", "grid"]),
    drawn=st.sampled_from([(), ("binary",), ("fixed",)]),
    label=st.one_of(st.none(), LABELS),
    label_first=st.booleans(),
)
def test_views_are_cut_apart_in_any_order(base, drawn, label, label_first):
    chosen = () if label is None else (f"class={label}",)
    views = (*chosen, *drawn) if label_first else (*drawn, *chosen)
    spec = parse_spec(":".join([base, *views]))
    assert spec == Spec(base, views)
    assert spec.label == label
    assert spec.binarization == (drawn[0] if drawn else None)
    assert spec.source.name == base


@given(text=st.text(max_size=300))
def test_any_text_is_a_spec_or_a_plain_error(text):
    try:
        spec = parse_spec(text)
    except PlausibleError:
        return
    assert ":".join([spec.base, *spec.views]) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("mnits", "did you mean mnist?"),
        ("MNIST", "did you mean mnist?"),
        ("digit:binary", "did you mean digits?"),
        ("nonsense", "digits, mnist, ring, grid"),
        ("mnist:binry", "did you mean :binary?"),
        ("mnist:", "unknown view ':'"),
        ("mnist::binary", "unknown view ':'"),
        ("mnist:class", "class needs a label"),
        ("mnist:class=", "class needs a label"),
        ("mnist:binary:fixed", "keep one"),
        ("mnist:binary:binary", "keep one"),
        ("mnist:class=3:class=4", "keep one"),
        ("gone.csv", "no file 'gone.csv'"),
        ("gone.csv:binary", "no file 'gone.csv'"),
        ("gone/", "no file or folder 'gone/'"),
        ("gone/faces:class=3", "no file or folder 'gone/faces'"),
        ("C:\\gone\\table.csv", "no file"),
        ("x\0.npy", "no file"),
        ("y" * 5000 + ".npy", "no file"),
    ],
)
def test_what_is_wrong_is_said(text, says):
    with pytest.raises(PlausibleError) as caught:
        parse_spec(text)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("table.xlsx", ".npy, .npz, .csv, .parquet"),
        ("table", "has no ending"),
        ("face.png", "give the folder"),
    ],
)
def test_a_file_of_another_kind_is_refused_before_it_is_read(tmp_path, name, says):
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(PlausibleError) as caught:
        parse_spec(str(tmp_path / name))
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "name", ["a:b.npy", "a=b.npy", "lr=0.1:run 3.csv", "x:binary.npz", "UPPER.NPY", "데이터.csv"]
)
def test_odd_paths_are_paths(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"")
    assert parse_spec(str(path)) == Spec(str(path))
    assert parse_spec(f"{path}:class=a=b:fixed") == Spec(str(path), ("class=a=b", "fixed"))
    assert parse_spec(str(path)).source.ending == path.suffix.lower()


def test_the_longest_path_that_exists_is_the_base(tmp_path):
    (tmp_path / "faces").mkdir()
    (tmp_path / "faces:binary").mkdir()
    assert parse_spec(f"{tmp_path}/faces:binary") == Spec(f"{tmp_path}/faces:binary")
    assert parse_spec(f"{tmp_path}/faces:fixed") == Spec(f"{tmp_path}/faces", ("fixed",))


def test_a_name_wins_over_a_folder_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits").mkdir()
    (tmp_path / "faces.npy").mkdir()
    assert parse_spec("digits").source.name == "digits"
    assert parse_spec("./digits").source.folder
    assert parse_spec("faces.npy").source.folder


def test_everything_that_loads_is_listed():
    names = [name for name, *_ in datasets()]
    assert names == [
        *("digits", "mnist", "ring", "grid"),
        *("FOLDER/", "FILE.zip", "FILE.npy", "FILE.npz", "FILE.csv", "FILE.parquet"),
        *("array", "tensor", "Dataset", "DataFrame", "PIL images", "dict of splits"),
        *(":binary", ":fixed", ":class=LABEL", ":domain=DOMAIN", ":target=NAME", ":size=64"),
        *(":fit=pad", ":header=yes|no"),
    ]
    assert all(all(row) and len(row) == 4 for row in datasets())


def test_parsing_and_listing_need_neither_numpy_nor_torch():
    program = (
        "import sys\n"
        "import plausible.data, plausible.data.spec\n"
        "from plausible.data import parse_spec, datasets\n"
        "from plausible.errors import PlausibleError\n"
        "datasets(); parse_spec('mnist:class=3:binary')\n"
        "try: parse_spec('mnits')\n"
        "except PlausibleError: pass\n"
        "heavy = {'numpy', 'pydantic', 'narwhals', 'pandas', 'torch', 'PIL', 'pooch', 'sklearn'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "plausible.data.load('ring')\n"
        "assert 'numpy' in sys.modules and 'torch' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=Path.cwd())
    assert done.returncode == 0, done.stderr


def test_a_name_the_package_lacks_is_an_attribute_error():
    import plausible.data

    with pytest.raises(AttributeError, match="nonsense"):
        _ = plausible.data.nonsense
