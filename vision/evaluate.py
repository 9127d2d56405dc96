"""`python -m vision.evaluate`: top-1, top-5 and NLL of an export on one split of a data set."""

from shared.naming import unique_name
from shared.results import Result, RunClock, write_result
from vision.cli import run
from vision.device import device_name
from vision.features import ExportedModel, load_same_data
from vision.scores import score
from vision.settings import EvaluateSettings


def evaluate(settings: EvaluateSettings) -> None:
    """Print the scores with their counts; with `output`, write them to its `result.json` too."""
    clock = RunClock()
    model = ExportedModel(settings.checkpoint)
    data = load_same_data(settings.data, [model])
    metrics = score(model.network, data.split(settings.split).evaluation_batches()).metrics(settings.split)
    for key, metric in metrics.items():
        print(f"{key}: {metric.value:.4f} {metric.unit} over {metric.count} images", flush=True)
    if settings.output is None:
        return
    card = model.card.model
    name = settings.name or unique_name([data.name, card.arch, card.role, settings.split], [card], settings.split)
    models, provenance = [card], clock.provenance(device_name(model.device))
    record = Result(
        "model", "image-classification", name, data.record(), models, provenance, model.card.teacher, metrics
    )
    print(write_result(settings.output, record), flush=True)


if __name__ == "__main__":
    run("evaluate", EvaluateSettings, evaluate)
