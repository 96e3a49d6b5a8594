"""Checks of the device: backend, GPUs, codecs, models and engines, all in separate programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from daemon.diagnostics.checks.context import Context
from daemon.diagnostics.framework import Finding, check, failed, not_applicable, ok, warning
from daemon.errors import DaemonError
from engines.settings import DeviceSettings

_GIB = 2**30
_EXAMINE, _ENGINES, _OPENING = "engines.examine", "engines.inference.commands", "daemon.worker.backend_check"
_GPU = Path("/dev/nvidiactl")


@check("backend")
def backend(context: Context) -> Finding:
    """The configured device must open, and both models must load on it; otherwise no job can run."""
    settings = context.settings.device
    found = context.ask_program(_OPENING, _without_sessions(settings))
    facts = {"configured": settings.backend, "device": found["device"], "notes": found["notes"]}
    if found["device"] == "cpu" and settings.backend == "auto" and _GPU.exists():
        return warning(
            f"There is a GPU, but the work runs on the CPU: {'; '.join(found['notes'])}",
            "See the checks driver, cards and libraries; or set device.backend to cpu.",
            facts=facts,
        )
    others = f" ({'; '.join(found['notes'])})" if found["notes"] else ""
    return ok(f"{found['device']} works, and both models load{others}.", facts=facts)


def _without_sessions(settings: DeviceSettings) -> str:
    """Return the settings as JSON, without the count of encoder sessions, which another check makes."""
    return settings.model_copy(update={"nvenc_max_sessions": 0}).model_dump_json()


@check("limits", needs="backend")
def limits(context: Context) -> Finding:
    """Workers run within workers.limits; if these are too low for the program itself, every file fails."""
    settings = context.settings
    try:
        context.ask_program(_OPENING, _without_sessions(settings.device), settings.workers.limits.model_dump_json())
    except DaemonError as exc:
        return failed(exc.message, "Raise the named limit, or workers.limits.address_space_bytes if none is named.")
    return ok("The backend opens within the limits.", facts=settings.workers.limits.model_dump())


@check("driver")
def driver(context: Context) -> Finding:
    """A GPU needs NVIDIA's kernel module, libraries of the same version, and permission to open its devices."""
    if context.settings.device.backend == "cpu":
        return not_applicable("device.backend is cpu.")
    facts = context.ask_program(_EXAMINE, "driver")
    closed = [name for name, refused in facts["devices"].items() if refused]
    about = {key: facts[key] for key in ("kernel_module", "driver", "cuda", "devices")}
    if facts["kernel_module"] is None and not facts["cards"]:
        return _without_gpu(context, "No NVIDIA driver is loaded.", about)
    if closed:
        return failed(
            f"{context.user} cannot open {', '.join('/dev/' + name for name in closed)}.",
            "Check the permissions of the devices and DeviceAllow= of the unit; load nvidia-uvm at boot.",
            facts=about,
        )
    if not facts["cards"]:
        return failed(
            f"The kernel has driver {facts['kernel_module']}, but no GPU answers.",
            "Install nvidia-ml-py (the extra dualface[cuda]); after an update of the driver, restart the machine.",
            facts=about,
        )
    return ok(f"Driver {facts['driver']}, CUDA {facts['cuda']}.", facts=about)


def _without_gpu(context: Context, summary: str, facts: dict[str, Any]) -> Finding:
    if context.settings.device.backend == "cuda":
        return failed(summary, "Install NVIDIA's driver, or set device.backend to auto or cpu.", facts=facts)
    return not_applicable(f"{summary} The work runs on the CPU.", facts=facts)


@check("cards", needs="driver")
def gpus(context: Context) -> Finding:
    """The GPUs and the use of their memory; jobs may use it up to device.vram_guard."""
    settings = context.settings.device
    found = context.ask_program(_EXAMINE, "driver")["cards"]
    facts = {"cards": found}
    used = settings.gpus or tuple(range(len(found))) or (0,)
    if max(used) >= len(found):
        return failed(f"There is no GPU {max(used)}, only {len(found)}.", "Correct device.index.", facts=facts)
    words = "; ".join(
        f"{gpu['index']}: {gpu['name']}, compute capability {gpu['compute_capability']}, "
        f"{gpu['vram_used_bytes'] / _GIB:.1f} of {gpu['vram_total_bytes'] / _GIB:.1f} GiB in use"
        for gpu in found
    )
    full = [n for n in used if found[n]["vram_used_bytes"] > settings.vram_guard * found[n]["vram_total_bytes"]]
    if full:
        taken = ", ".join(map(str, full))
        return warning(
            f"{words}. More than device.vram_guard ({settings.vram_guard:.0%}) of GPU {taken} is in use.",
            "End other programs on the GPU; jobs wait until there is enough memory.",
            facts=facts,
        )
    return ok(f"{words}.", facts=facts)


@check("codecs-cpu")
def codecs_cpu(context: Context) -> Finding:
    """The codecs of the CPU, tried with small samples. The program ffmpeg is not needed."""
    facts = context.ask_program(_EXAMINE, "cpu")
    broken = {codec: words for kind in ("decode", "encode") for codec, words in facts[kind].items() if words}
    needed = [codec for codec in broken if codec in ("h264", *facts["encode"])]
    summary = f"decodes {_working(facts['decode'])}; encodes {_working(facts['encode'])}"
    if needed:
        return failed(
            f"Necessary codecs do not work: {_explained(broken)}.",
            "Install the package av (PyAV) again, from its wheel.",
            facts=facts,
        )
    if broken:
        return warning(
            f"The CPU {summary}. Not: {_explained(broken)}.", "Recordings with these codecs fail.", facts=facts
        )
    return ok(f"The CPU {summary}.", facts=facts)


@check("codecs-cuda", needs="cards")
def codecs_cuda(context: Context) -> Finding:
    """The codecs of the GPU. Others are decoded according to device.undecodable, and encoded with x264."""
    facts = context.ask_program(_EXAMINE, "cuda", str(context.settings.device.gpu))
    sessions = facts["nvenc"]["opened"]
    missing = f"no NVENC ({facts['nvenc']['error']}), so x264 encodes"
    encodes = f"{sessions} NVENC sessions open" if sessions else missing
    summary = f"The GPU decodes {_working(facts['decode']) or 'nothing'}; {encodes}."
    wanting = sorted(name for name, p in context.settings.profiles.items() if p.encoder == "nvenc" and not sessions)
    if wanting:
        return failed(
            f"{summary} Profiles that require NVENC: {', '.join(wanting)}.",
            "Set their encoder to auto or x264.",
            facts=facts,
        )
    if facts["decode"]["h264"]:
        return warning(summary, "Update the driver; until then H.264 is decoded on the CPU.", facts=facts)
    return ok(summary, facts=facts)


def _working(tried: dict[str, str]) -> str:
    return ", ".join(codec.replace(", ", " ") for codec, words in tried.items() if not words)


def _explained(broken: dict[str, str]) -> str:
    return "; ".join(f"{codec} ({words})" for codec, words in broken.items())


@check("inference")
def inference(context: Context) -> Finding:
    """The runtimes for the models: TensorRT or ONNX Runtime with CUDA on a GPU, ONNX Runtime on the CPU."""
    facts = context.ask_program(_EXAMINE, "inference")
    providers = [name.removesuffix("ExecutionProvider") for name in facts["providers"]]
    summary = f"ONNX Runtime {facts['onnxruntime']} with {', '.join(providers)}; {facts['tensorrt'] or 'no TensorRT'}"
    if "CPU" not in providers:
        return failed(f"{summary}.", "Install onnxruntime again.", facts=facts)
    if _uses_gpu(context) and "CUDA" not in providers:
        return warning(
            f"{summary}: without the CUDA provider, the GPU depends on TensorRT alone.",
            "Uninstall onnxruntime and install onnxruntime-gpu again: onnxruntime hides it.",
            facts=facts,
        )
    return ok(f"{summary}.", facts=facts)


def _uses_gpu(context: Context) -> bool:
    backend = context.settings.device.backend
    return backend == "cuda" or (backend == "auto" and _GPU.exists())


@check("models")
def models(context: Context) -> Finding:
    """The models come with packages; each must be identical to the published file. Both permit commercial use."""
    found = context.ask_program(_ENGINES, "list", "")["models"]
    words = "; ".join(f"{m['title']} ({m['licence']}, sha256 {m['sha256'][:12]})" for m in found)
    return ok(f"Intact: {words}.", facts={"models": found})


@check("engines")
def engines(context: Context) -> Finding:
    """TensorRT engines are built from the models once for each kind of GPU; outdated ones are rebuilt when needed."""
    found = context.ask_program(_ENGINES, "list", "")
    facts = {"directory": found["directory"], "library": found["library"], "engines": found["engines"]}
    if found["library"] is None:
        return not_applicable("TensorRT is not installed.", facts=facts)
    bad = [f"{e['name']} for {e['target']} is {e['state']}" for e in found["engines"] if e["state"] != "good"]
    if bad:
        return warning(f"{', '.join(bad)}.", "Build them again: dualface engines build", facts=facts)
    if not found["engines"]:
        return ok("None is built yet; the first job on a GPU builds them.", facts=facts)
    words = ", ".join(f"{e['name']} for {e['target']} ({e['precision']})" for e in found["engines"])
    return ok(f"Built: {words}.", facts=facts)


@check("cache")
def cache(context: Context) -> Finding:
    """Converted models, engines and kernels are kept between jobs; otherwise every job makes them again."""
    facts = context.ask_program(_EXAMINE, "cache")
    if facts["refused"]:
        return warning(
            f"{context.user} cannot write files in {facts['directory']}: {facts['refused']}.",
            "Set a cache directory: CacheDirectory= of the unit, or the variable CACHE_DIRECTORY.",
            facts=facts,
        )
    if facts["free_bytes"] < _GIB:
        return warning(
            f"{facts['directory']} has {facts['free_bytes'] / _GIB:.1f} GiB of free space.",
            "Free space there.",
            facts=facts,
        )
    return ok(f"{facts['directory']}, {facts['free_bytes'] / _GIB:.0f} GiB free.", facts=facts)
