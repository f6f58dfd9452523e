"""What kustomize makes of a folder, for the part of kustomize that deploy/ uses; whatever else is there is refused."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

KUSTOMIZATION = "kustomization.yaml"
Object = dict[str, Any]
"""A Kubernetes object, or a part of one."""

_MERGED_BY = {
    "containers": "name",
    "env": "name",
    "ports": "containerPort",
    "volumes": "name",
    "volumeMounts": "mountPath",
}
"""The lists of a pod that a patch adds to, by what tells their entries apart. It replaces any other list."""


def documents(path: Path) -> list[Object]:
    """The documents of a YAML file."""
    return [document for document in yaml.safe_load_all(path.read_text()) if document]


def kustomization(folder: Path) -> Object:
    """The kustomization of a folder."""
    (document,) = documents(folder / KUSTOMIZATION)
    return document


def named_files(folder: Path) -> Iterator[Path]:
    """The files and folders that the kustomization of a folder names."""
    content = kustomization(folder)
    for name in (*content.get("resources", ()), *(patch["path"] for patch in content.get("patches", ()))):
        yield (folder / name).resolve()


def build(folder: Path) -> list[Object]:
    """The objects of a kustomization. Generated names stay without their hash.

    Args:
        folder: Where the kustomization is.

    Raises:
        ValueError: It uses what this does not know.
    """
    content = kustomization(folder)
    objects: list[Object] = []
    for name in content.pop("resources", ()):
        path = folder / name
        objects += build(path) if path.is_dir() else documents(path)
    for generator in content.pop("configMapGenerator", ()):
        _generate(objects, **generator)
    for patch in content.pop("patches", ()):
        (change,) = documents(folder / patch.pop("path"))
        _patch(objects, change, **patch)
    for image in content.pop("images", ()):
        _set_image(objects, **image)
    namespace = content.pop("namespace", None)
    for each in objects:
        each["metadata"] |= {"namespace": namespace} if namespace else {}
    if unknown := content.keys() - {"apiVersion", "kind"}:
        raise ValueError(f"{folder}: {', '.join(sorted(unknown))}")
    return objects


def merged(target: Any, change: Any, field: str = "") -> Any:
    """A strategic merge: what the change says, and the rest of the target.

    Args:
        target: What is there.
        change: The patch; None in it removes.
        field: The field whose value this is.
    """
    if isinstance(target, dict) and isinstance(change, dict):
        both = {name: merged(target.get(name), value, name) for name, value in change.items()}
        return {name: value for name, value in (target | both).items() if value is not None}
    if isinstance(target, list) and isinstance(change, list) and (key := _MERGED_BY.get(field)):
        changes = {each[key]: each for each in change}
        kept = [merged(each, changes.pop(each[key], {})) for each in target]
        return [*kept, *changes.values()]
    return deepcopy(change)


def pod_template(each: Object) -> Object | None:
    """The pods that an object makes; None if it makes none."""
    spec = each.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    template: Object | None = spec.get("template")
    return template


def _generate(objects: list[Object], *, name: str, literals: Iterable[str], behavior: str = "create") -> None:
    data = dict(literal.split("=", 1) for literal in literals)
    if behavior == "create":
        objects.append({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
    elif behavior == "merge":
        (there,) = [each for each in objects if (each["kind"], each["metadata"]["name"]) == ("ConfigMap", name)]
        there["data"] |= data
    else:
        raise ValueError(behavior)


def _patch(objects: list[Object], change: Object, *, target: Mapping[str, str] | None = None) -> None:
    found = 0
    for number, each in enumerate(objects):
        meta = each["metadata"]
        if target is None:
            hit = (each["kind"], meta["name"]) == (change["kind"], change["metadata"]["name"])
        else:
            label, _, value = target["labelSelector"].partition("=")
            hit = each["kind"] == target["kind"] and meta.get("labels", {}).get(label) == value
        if hit:
            objects[number] = merged(each, change | {"metadata": meta})
            found += 1
    if not found:
        raise ValueError(f"nothing to patch with {change}")


def _set_image(objects: list[Object], *, name: str, newName: str, newTag: str) -> None:  # noqa: N803  # kustomize's
    for each in objects:
        for container in (pod_template(each) or {}).get("spec", {}).get("containers", ()):
            if container["image"] == name:
                container["image"] = f"{newName}:{newTag}"
