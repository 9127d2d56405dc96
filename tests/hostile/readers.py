"""Every place in the three packages where bytes of a file become values, as `test_readers.py` finds them.

`SUITES` says which tests give the place hostile files; `OWN` are files that only this project's packages bring.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("shared", "nmt_plugin", "vision")
# By the last part of a call's name, or by its last two.
CALLS = {
    *("torch.load", "load_file", "safe_open", "load_model_ensemble_and_task", "load_checkpoint_to_cpu", "trainer.fit"),
    *("load_torch", "timm.create_model", "get_state_dict", "load_state_dict_from_url", "load_from_checkpoint"),
    *("np.load", "np.memmap", "np.fromfile", "open_memmap", "np.loadtxt", "np.genfromtxt", "read_arrays"),
    *("json.load", "json.loads", "read_json"),
    *("yaml.load", "yaml.safe_load", "yaml.parse", "OmegaConf.load", "OmegaConf.create", "check_plain", "read_config"),
    *("tarfile.open", "is_tarfile", "open_tar", "zipfile.ZipFile", "gzip.open", "gzip.decompress", "gunzip"),
    *("gzip.GzipFile", "lzma.open", "bz2.open", "shutil.unpack_archive"),
    *("Image.open", "decode_jpeg", "decode_image", "read_image", "image_slice"),
    *("pickle.load", "pickle.loads", "joblib.load", "shelve.open", "marshal.loads", "torch.hub.load"),
    *("hydra.main", "pd.read_csv"),
}
PICKLES, ARCHIVES, ARRAYS, IMAGES, TEXTS = "pickles", "archives", "arrays", "images", "YAML and JSON"
OWN = "own"

SUITES = {
    "nmt_plugin/checkpoints.py:checkpoint_config": PICKLES,
    "nmt_plugin/checkpoints.py:load_model": PICKLES,
    "nmt_plugin/checkpoints.py:read_checkpoint": PICKLES,
    "nmt_plugin/compare.py:_is_comparison": TEXTS,
    "nmt_plugin/corpora/archive.py:_members": ARCHIVES,
    "nmt_plugin/corpora/card.py:read_card": TEXTS,
    "nmt_plugin/corpora/download.py:_check_archive": ARCHIVES,
    "nmt_plugin/corpora/lines.py:read_lines": ARCHIVES,
    "nmt_plugin/decoder_states/token_sets.py:read_sets": TEXTS,
    "nmt_plugin/job.py:<module>": TEXTS,
    "nmt_plugin/scores/generation.py:_answered": TEXTS,
    "nmt_plugin/shards.py:_read": TEXTS,
    "nmt_plugin/teachers/identity.py:recall": PICKLES,
    "nmt_plugin/teachers/store.py:Store.__init__": ARRAYS,
    "nmt_plugin/teachers/store.py:read_manifest": TEXTS,
    "nmt_plugin/teachers/writer.py:Writer.__init__": OWN,  # what this process has just made, or a checksum refuses
    "shared/archives.py:read_arrays": ARRAYS,
    "shared/decoding.py:read_json": TEXTS,
    "shared/outcomes.py:read_outcomes": ARRAYS,
    "shared/predictions.py:read_predictions": ARRAYS,
    "shared/report/build.py:read_study": TEXTS,
    "shared/results.py:read_result": TEXTS,
    "shared/unpacking.py:gunzip": ARCHIVES,
    "shared/unpacking.py:open_tar": ARCHIVES,
    "shared/unpickling.py:load_torch": PICKLES,
    "vision/checkpoint.py:load_card": TEXTS,
    "vision/checkpoint.py:load_export": PICKLES,
    "vision/class_sets/set_file.py:read_set_file": TEXTS,
    "vision/class_sets/synsets.py:_read": OWN,
    "vision/cli.py:_main": TEXTS,
    "vision/data/archive.py:unpack": ARCHIVES,
    "vision/data/cifar.py:_read": ARRAYS,
    "vision/data/cifar5m.py:_mapped": ARRAYS,
    "vision/data/dali_pipeline.py:_decoded": IMAGES,
    "vision/data/encoded.py:Encoded.pixels": IMAGES,
    "vision/data/encoded.py:read_encoded": IMAGES,
    "vision/data/fashion_mnist.py:read_idx": ARCHIVES,
    "vision/data/readable.py:_problem": IMAGES,
    "vision/data/transforms.py:decode": IMAGES,
    "vision/models.py:build_model": OWN,  # untrained
    "vision/networks/architectures.py:outline": OWN,  # untrained, on no device
    "vision/networks/files.py:_run_beside": TEXTS,
    "vision/networks/pretrained.py:open_timm": PICKLES,
    "vision/networks/pretrained.py:open_torchvision": PICKLES,
    "vision/networks/torch_file.py:read_file": PICKLES,
    "vision/plain_yaml.py:check_plain": TEXTS,
    "vision/plain_yaml.py:read_config": TEXTS,
    "vision/training/outcome.py:export_and_score": PICKLES,
    "vision/training/run_folder.py:RunFolder._read_config": TEXTS,
    "vision/training/run_folder.py:_callbacks": PICKLES,
    "vision/training/trainer.py:fit": PICKLES,
}


def reading_calls(source: str) -> Iterator[str]:
    """The functions (dotted, `<module>` outside any) in which a call of `CALLS` stands; one for each call."""
    yield from _calls(ast.parse(source), "")


def _calls(node: ast.AST, within: str) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            for decorator in child.decorator_list:
                yield from _calls(ast.Expr(decorator), within)
            yield from _calls(ast.Module(child.body, []), f"{within}.{child.name}".lstrip("."))
            continue
        if isinstance(child, ast.Call):
            parts = ast.unparse(child.func).split(".")
            if parts[-1] in CALLS or ".".join(parts[-2:]) in CALLS:
                yield within or "<module>"
        yield from _calls(child, within)
