import tomllib

import numpy as np
import pytest
from safetensors.numpy import save

from evals.errors import InputError
from evals.expression_reader import FEATURES, ExpressionReader, face_gradients, read_reader
from evals.faces import measure_face, open_backend
from evals.images import read_image
from lifeos.settings import project_root

FOLDER = project_root() / "models" / "expressions"


def sample(seed, n=60, words=("a", "b", "c")):
    rng = np.random.default_rng(seed)
    names = [str(rng.choice(words, p=[0.6, 0.3, 0.1])) for _ in range(n)]
    rows = rng.random((n, FEATURES))
    for row, name in zip(rows, names, strict=True):
        row[words.index(name) * 40 : words.index(name) * 40 + 40] += 0.5
    return rows, names


def test_the_fit_is_the_weighted_ridge_solution_of_the_augmented_system():
    rows, names = sample(1)
    reader = ExpressionReader.fit(rows, names, 3.0)
    counts = {name: names.count(name) for name in set(names)}
    root = np.sqrt([len(names) / (3 * counts[name]) for name in names])[:, None]
    targets = np.array([[name == word for word in reader.words] for name in names], float)
    # Least squares over the rows and one row of sqrt(3) a weight; the constant is not shrunk.
    matrix = np.vstack([np.hstack([rows, np.ones((60, 1))]) * root, np.sqrt(3.0) * np.eye(FEATURES, FEATURES + 1)])
    expected, *_ = np.linalg.lstsq(matrix, np.vstack([targets * root, np.zeros((FEATURES, 3))]), rcond=None)
    assert reader.weights == pytest.approx(expected[:-1], abs=1e-6)
    assert reader.offset == pytest.approx(expected[-1], abs=1e-6)


def test_what_it_learnt_it_reads_on_rows_it_never_saw():
    reader = ExpressionReader.fit(*sample(1, 200), 3.0)
    rows, names = sample(2, 100)
    assert np.mean([reader.read(row) == name for row, name in zip(rows, names, strict=True)]) > 0.95


def test_a_saved_reader_comes_back_and_another_file_is_refused(tmp_path):
    reader = ExpressionReader.fit(*sample(1), 3.0)
    path = tmp_path / "reader.safetensors"
    path.write_bytes(reader.save())
    again = read_reader(path)
    assert again.words == reader.words
    assert again.weights == pytest.approx(reader.weights, rel=1e-6)
    assert read_reader(path, again.sha256).offset == pytest.approx(reader.offset, rel=1e-6)
    with pytest.raises(InputError, match="SHA-256"):
        read_reader(path, "0" * 64)
    weights, offset = np.zeros((FEATURES, 2), np.float32), np.zeros(2, np.float32)
    for tensors, words in (
        ({"weights": weights}, "a b"),
        ({"weights": weights[:-1], "offset": offset}, "a b"),
        ({"weights": weights, "offset": offset}, "a a"),
        ({"weights": weights, "offset": offset}, ""),
        ({"weights": weights + np.nan, "offset": offset}, "a b"),
    ):
        path.write_bytes(save(tensors, metadata={"words": words}))
        with pytest.raises(InputError, match="next: git checkout"):
            read_reader(path)
    path.write_bytes(b"\x80\x04 no safetensors")
    with pytest.raises(InputError, match="accepted an expression reader"):
        read_reader(path)
    with pytest.raises(InputError, match="accepted an expression reader"):
        read_reader(tmp_path / "absent.safetensors")


@pytest.mark.parametrize(
    ("rows", "words", "ridge"),
    [
        (np.zeros((2, 3)), ["a", "b"], 1.0),
        (np.zeros((2, FEATURES)), ["a", "a"], 1.0),
        (np.zeros((2, FEATURES)), ["a"], 1.0),
        (np.full((2, FEATURES), np.nan), ["a", "b"], 1.0),
        (np.zeros((2, FEATURES)), ["a", "b"], 0.0),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows, words, ridge):
    with pytest.raises(ValueError, match="accepted finite gradients"):
        ExpressionReader.fit(rows, words, ridge)


def test_the_shipped_reader_is_the_pinned_one_and_reads_renders_of_a_person_it_never_saw():
    pin = tomllib.loads((FOLDER / "expressions.toml").read_text(encoding="utf-8"))["rendered_heads"]
    reader = read_reader(FOLDER / pin["file"], pin["sha256"])
    assert reader.words == ("frowning", "neutral", "smiling", "surprised")
    backend = open_backend("yunet_sface", project_root() / "models" / "faces")
    right = []
    for path in sorted((project_root() / "personas/pistachio/dataset").glob("*.png"))[:16]:
        image = read_image(path)
        word = reader.read(face_gradients(image, measure_face(backend, image).faces[0].points))
        right.append(word in path.with_suffix(".txt").read_text(encoding="utf-8"))
    assert np.mean(right) >= 0.75  # .80 of 1,500 renders of identities that were left out; chance is .25
