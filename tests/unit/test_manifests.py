import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import ValidationError, validate
from typer.main import get_command

from cli.main import app
from kindred.settings import Settings
from tests.support.kustomize import KUSTOMIZATION, Object, build, documents, merged, named_files, pod_template

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
BASE = DEPLOY / "base"
FOLDERS = {str(path.parent.relative_to(DEPLOY)): path.parent for path in sorted(DEPLOY.rglob(KUSTOMIZATION))}
BUILT = {name: build(folder) for name, folder in FOLDERS.items()}
VERSIONS = ("1.30", "1.34")
"""The oldest Kubernetes that deploy/README.md speaks of, and the one that these manifests were written with."""

CREDENTIALS = {
    "KINDRED_QDRANT_API_KEY": "qdrant-api-key",
    "KINDRED_KAFKA_USERNAME": "kafka-username",
    "KINDRED_KAFKA_PASSWORD": "kafka-password",  # a key's name
}
"""What is secret, by its key in the Secret kindred-credentials."""

every_folder = pytest.mark.parametrize("folder", FOLDERS)


def title(each: Object) -> str:
    """An object's kind and name."""
    return f"{each['kind']} {each['metadata']['name']}"


def of_kind(folder: str, *kinds: str) -> dict[str, Object]:
    """The objects of some kinds, by name."""
    return {each["metadata"]["name"]: each for each in BUILT[folder] if each["kind"] in kinds}


def pods(folder: str) -> dict[str, Object]:
    """The templates of all pods, by the object that makes them."""
    return {title(each): template for each in BUILT[folder] if (template := pod_template(each))}


def containers(folder: str) -> dict[str, Object]:
    """The containers of all pods, by the object that makes them."""
    found = {}
    for name, template in pods(folder).items():
        (found[name],) = template["spec"]["containers"]
    return found


def selected(folder: str, selector: dict[str, str]) -> set[str]:
    """What makes pods that a selector fits."""
    return {
        name for name, template in pods(folder).items() if selector.items() <= template["metadata"]["labels"].items()
    }


def config(folder: str) -> dict[str, str]:
    """The ConfigMap's values."""
    (found,) = of_kind(folder, "ConfigMap").values()
    return dict(found["data"])


def variables(folder: str) -> dict[str, set[str]]:
    """The environment variables of every container, by the object that makes it."""
    return {
        name: {each["name"] for each in container.get("env", ())} | config(folder).keys()
        for name, container in containers(folder).items()
    }


def probes(container: Object) -> dict[str, Object]:
    """The probes of a container."""
    return {name: container[name] for name in ("startupProbe", "readinessProbe", "livenessProbe") if name in container}


def probed_port(probe: Object) -> int | str:
    """The port that a probe asks, by number or name."""
    (how,) = [probe[kind] for kind in ("grpc", "httpGet", "tcpSocket") if kind in probe]
    port: int | str = how["port"]
    return port


def ports(container: Object) -> set[int | str]:
    """The ports of a container, by number and by name."""
    return {each[key] for each in container.get("ports", ()) for key in ("containerPort", "name")}


class TestFiles:
    def test_there_are_a_base_and_an_overlay(self) -> None:
        """These tests see the manifests."""
        assert FOLDERS.keys() == {"base", "overlays/example"}
        assert {title(each) for each in BUILT["base"]} == {
            "ConfigMap kindred-config",
            "Deployment kindred-consumer",
            "Deployment kindred-server",
            "PodDisruptionBudget kindred-consumer",
            "PodDisruptionBudget kindred-server",
            "Service kindred",
        }

    @every_folder
    def test_what_a_kustomization_names_is_there(self, folder: str) -> None:
        """Every file is there, and every folder has a kustomization."""
        for path in named_files(FOLDERS[folder]):
            assert path.is_file() or (path / KUSTOMIZATION).is_file(), path

    @every_folder
    def test_every_file_is_named(self, folder: str) -> None:
        """No manifest lies beside a kustomization that does not know it."""
        there = {path for path in FOLDERS[folder].iterdir() if path.name != KUSTOMIZATION}
        assert there <= set(named_files(FOLDERS[folder]))

    def test_every_manifest_belongs_to_a_kustomization(self) -> None:
        """All YAML below deploy/ lies directly in a folder that has a kustomization, and ends in .yaml."""
        assert {path.parent for path in DEPLOY.rglob("*.y*ml")} == set(FOLDERS.values())
        assert list(DEPLOY.rglob("*.yml")) == []

    def test_an_overlay_starts_from_the_base(self) -> None:
        """Every object of the base is in every overlay."""
        base = {title(each) for each in BUILT["base"]}
        assert all(base <= {title(each) for each in objects} for objects in BUILT.values())


class TestSchema:
    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize(
        ("folder", "each"),
        [pytest.param(name, each, id=f"{name}-{title(each)}") for name, objects in BUILT.items() for each in objects],
    )
    def test_every_object_is_valid(self, folder: str, each: Object, version: str) -> None:
        """Kubernetes knows every field of every object, and its type; the schema is exactly this version's."""
        assert validate(each, version, strict=True) == version

    @pytest.mark.parametrize("version", VERSIONS)
    @pytest.mark.parametrize("change", [{"replica": 3}, {"replicas": "3"}, {"selector": None}])
    def test_what_is_wrong_is_found(self, change: Object, version: str) -> None:
        """A field with a typing error, a value of another type and a field that lacks are invalid."""
        wrong = merged(of_kind("base", "Deployment")["kindred-server"], {"spec": change})
        with pytest.raises(ValidationError):
            validate(wrong, version, strict=True)

    @every_folder
    def test_names_are_unique(self, folder: str) -> None:
        """No object replaces another one."""
        names = [title(each) for each in BUILT[folder]]
        assert len(names) == len(set(names))


@every_folder
class TestReferences:
    def test_a_deployment_selects_its_own_pods(self, folder: str) -> None:
        """A Deployment's selector fits its own pods and no others."""
        for each in of_kind(folder, "Deployment").values():
            assert selected(folder, each["spec"]["selector"]["matchLabels"]) == {title(each)}

    def test_a_budget_is_for_the_deployment_of_its_name(self, folder: str) -> None:
        """Every Deployment has one budget, whose selector fits its pods and no others."""
        budgets = of_kind(folder, "PodDisruptionBudget")
        assert budgets.keys() == of_kind(folder, "Deployment").keys()
        for name, each in budgets.items():
            assert selected(folder, each["spec"]["selector"]["matchLabels"]) == {f"Deployment {name}"}

    def test_pods_are_spread_among_their_own(self, folder: str) -> None:
        """What counts for the spread of a Deployment's pods is that Deployment's pods."""
        for name, template in pods(folder).items():
            for each in template["spec"].get("topologySpreadConstraints", ()):
                assert selected(folder, each["labelSelector"]["matchLabels"]) == {name}

    def test_the_service_leads_to_the_servers(self, folder: str) -> None:
        """The one Service is headless, fits the servers only, and its port is one of theirs, with the same number."""
        (service,) = of_kind(folder, "Service").values()
        assert service["spec"]["clusterIP"] == "None"
        assert selected(folder, service["spec"]["selector"]) == {"Deployment kindred-server"}
        numbers = {
            each["name"]: each["containerPort"] for each in containers(folder)["Deployment kindred-server"]["ports"]
        }
        (port,) = service["spec"]["ports"]
        assert port["name"] == "grpc"
        assert numbers[port["targetPort"]] == port["port"]  # no proxy is between that could translate it

    def test_network_policies_name_ports_of_the_pods(self, folder: str) -> None:
        """Every port that is opened is a port of a pod that the policy is for."""
        for each in of_kind(folder, "NetworkPolicy").values():
            names = selected(folder, each["spec"]["podSelector"]["matchLabels"])
            there = {port for name in names for port in ports(containers(folder)[name])}
            assert {port["port"] for rule in each["spec"]["ingress"] for port in rule["ports"]} <= there

    def test_probes_ask_ports_of_their_container(self, folder: str) -> None:
        """The port of every probe is one that the container has."""
        for container in containers(folder).values():
            assert {probed_port(probe) for probe in probes(container).values()} <= ports(container)

    def test_mounts_have_volumes(self, folder: str) -> None:
        """Every volume is mounted, and every mount has its volume."""
        for template in pods(folder).values():
            (container,) = template["spec"]["containers"]
            mounted = {each["name"] for each in container["volumeMounts"]}
            assert mounted == {each["name"] for each in template["spec"]["volumes"]}

    def test_the_settings_come_from_the_generated_config(self, folder: str) -> None:
        """Every pod has the ConfigMap's values, whose name changes with them."""
        for container in containers(folder).values():
            assert [each["configMapRef"]["name"] for each in container["envFrom"]] == list(of_kind(folder, "ConfigMap"))

    def test_an_autoscaler_decides_alone(self, folder: str) -> None:
        """What an autoscaler scales is there, and does not say how many of it there are."""
        for each in of_kind(folder, "HorizontalPodAutoscaler").values():
            target = each["spec"]["scaleTargetRef"]
            scaled = of_kind(folder, target["kind"])[target["name"]]
            assert (scaled["apiVersion"], scaled["spec"].get("replicas")) == (target["apiVersion"], None)


@every_folder
class TestSettings:
    def test_every_variable_is_a_setting(self, folder: str) -> None:
        """Pods get KINDRED_… variables only, and each is one that the settings know."""
        known = {f"KINDRED_{name.upper()}" for name in Settings.model_fields}
        assert {name: names - known for name, names in variables(folder).items() if names - known} == {}

    def test_the_settings_take_the_values(
        self, folder: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, subtests: pytest.Subtests
    ) -> None:
        """With a container's environment and the credentials the settings are valid."""
        monkeypatch.chdir(tmp_path)
        for name, container in containers(folder).items():
            with subtests.test(name), monkeypatch.context() as environment:
                for variable in Settings.model_fields:
                    environment.delenv(f"KINDRED_{variable.upper()}", raising=False)
                for variable, value in config(folder).items():
                    environment.setenv(variable, value)
                for each in container["env"]:
                    environment.setenv(each["name"], each.get("value", "given"))
                Settings()

    def test_ports_are_the_ones_that_are_set(self, folder: str) -> None:
        """The server's port is the default one, and the metrics' the one of the ConfigMap."""
        metrics = int(config(folder)["KINDRED_METRICS_PORT"])
        numbers = {
            name: {each["name"]: each["containerPort"] for each in container.get("ports", ())}
            for name, container in containers(folder).items()
        }
        assert numbers["Deployment kindred-server"] == {
            "grpc": Settings.model_fields["port"].default,
            "metrics": metrics,
        }
        assert numbers["Deployment kindred-consumer"] == {"metrics": metrics}

    def test_servers_listen_on_every_network(self, folder: str) -> None:
        """The pod's own address is what clients and probes connect to."""
        assert config(folder)["KINDRED_HOST"] == "0.0.0.0"  # noqa: S104  # inside a pod

    def test_commands_and_options_are_ours(self, folder: str) -> None:
        """Every container runs a command of `kindred`, with options that this command has."""
        commands: Any = get_command(app)
        for name, container in containers(folder).items():
            command, *rest = container["args"]
            known = {option for each in commands.commands[command].params for option in each.opts}
            assert {each.partition("=")[0] for each in rest if each.startswith("--")} <= known, name

    def test_files_that_are_set_are_mounted(self, folder: str) -> None:
        """Every path among the values is below a volume that is mounted in every pod."""
        paths = [Path(value) for value in config(folder).values() if value.startswith("/")]
        for name, container in containers(folder).items():
            mounts = {Path(each["mountPath"]) for each in container["volumeMounts"]}
            assert [path for path in paths if not mounts & set(path.parents)] == [], name

    def test_a_consumer_has_a_partition(self, folder: str) -> None:
        """There are at least as many partitions as consumers, also while one is replaced."""
        spec = of_kind(folder, "Deployment")["kindred-consumer"]["spec"]
        most = spec["replicas"] + spec["strategy"]["rollingUpdate"]["maxSurge"]
        assert most <= int(config(folder)["KINDRED_PARTITIONS"])

    def test_members_of_a_deployment_are_dynamic(self, folder: str) -> None:
        """Pods whose names change with every rollout are no static members of the consumer group."""
        assert "KINDRED_GROUP_INSTANCE" not in variables(folder)["Deployment kindred-consumer"]


class TestSecrets:
    def test_no_secret_is_in_the_tree(self) -> None:
        """There is no Secret below deploy/ and nothing that makes one."""
        for path in DEPLOY.rglob("*.yaml"):
            for each in documents(path):
                assert each["kind"] != "Secret", path
                assert "secretGenerator" not in each, path

    @every_folder
    def test_credentials_come_by_reference(self, folder: str) -> None:
        """A credential is a reference to the Secret kindred-credentials, which need not be there, and never a value."""
        assert not CREDENTIALS.keys() & config(folder).keys()
        for container in containers(folder).values():
            for each in container["env"]:
                if each["name"] in CREDENTIALS:
                    key = {"name": "kindred-credentials", "key": CREDENTIALS[each["name"]], "optional": True}
                    assert each == {"name": each["name"], "valueFrom": {"secretKeyRef": key}}
                else:
                    assert not re.search("KEY|PASSWORD|TOKEN|SECRET|USERNAME", each["name"])

    @every_folder
    def test_whatever_runs_has_the_credentials(self, folder: str) -> None:
        """Servers, consumers and loads can be let in by Qdrant and by Kafka."""
        for names in variables(folder).values():
            assert CREDENTIALS.keys() <= names

    @every_folder
    def test_values_hold_no_credentials(self, folder: str) -> None:
        """No address has a user and a password in it."""
        assert not [value for value in config(folder).values() if re.search(r"//[^/]*@", value)]

    def test_the_base_needs_no_files(self) -> None:
        """The base runs without any Secret: CA files are an overlay's."""
        for template in pods("base").values():
            assert not [each for each in template["spec"]["volumes"] if "secret" in each]


@every_folder
class TestPods:
    def test_they_may_do_little(self, folder: str) -> None:
        """Every pod keeps Kubernetes' restricted standard, writes only to volumes, and runs as the image's user."""
        (user,) = re.findall(r"useradd .*--uid (\d+)", (ROOT / "Dockerfile").read_text())
        for template in pods(folder).values():
            context = template["spec"]["securityContext"]
            assert (context["runAsNonRoot"], context["runAsUser"]) == (True, int(user))
            assert context["seccompProfile"] == {"type": "RuntimeDefault"}
            (container,) = template["spec"]["containers"]
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert "/tmp" in {each["mountPath"] for each in container["volumeMounts"]}  # noqa: S108  # it is a volume

    def test_they_know_nothing_of_the_cluster(self, folder: str) -> None:
        """No pod has a token, or variables for Services: KINDRED_PORT is a setting, and also a Service kindred's."""
        for template in pods(folder).values():
            assert template["spec"]["automountServiceAccountToken"] is False
            assert template["spec"]["enableServiceLinks"] is False

    def test_memory_is_bounded(self, folder: str) -> None:
        """Every container says what it needs, and gets no more memory than that."""
        for container in containers(folder).values():
            resources = container["resources"]
            assert resources["requests"].keys() == {"cpu", "memory"}
            assert resources["limits"] == {"memory": resources["requests"]["memory"]}

    def test_calls_have_time_to_finish(self, folder: str) -> None:
        """The grace period is longer than what comes before SIGTERM and the calls' grace together."""
        grace = float(config(folder).get("KINDRED_DRAIN_GRACE", Settings.model_fields["drain_grace"].default))
        template = pods(folder)["Deployment kindred-server"]
        before = containers(folder)["Deployment kindred-server"]["lifecycle"]["preStop"]["sleep"]["seconds"]
        assert before > 0
        assert template["spec"]["terminationGracePeriodSeconds"] >= before + grace + 10

    def test_a_batch_has_time_to_finish(self, folder: str) -> None:
        """The consumers' grace period is longer than a commit and leaving the group may take."""
        seconds = Settings.model_fields["kafka_timeout"].default
        template = pods(folder)["Deployment kindred-consumer"]
        assert template["spec"]["terminationGracePeriodSeconds"] > 3 * seconds

    def test_waiting_for_the_store_is_no_reason_to_be_restarted(self, folder: str) -> None:
        """Whether the store is open decides about readiness; liveness asks only whether the process accepts."""
        asked = probes(containers(folder)["Deployment kindred-server"])
        assert "tcpSocket" in asked["livenessProbe"]
        for name in ("startupProbe", "readinessProbe"):
            assert "service" not in asked[name]["grpc"]  # for the server as a whole
        startup = asked["startupProbe"]
        assert startup["periodSeconds"] * startup["failureThreshold"] > 10 * 60  # the kubelet's back-off is forgotten

    def test_a_rollout_takes_nothing_away(self, folder: str) -> None:
        """A new pod comes before an old one goes, and one pod at a time may be evicted."""
        for each in of_kind(folder, "Deployment").values():
            assert each["spec"]["strategy"] == {
                "type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
            }
        for each in of_kind(folder, "PodDisruptionBudget").values():
            assert each["spec"]["maxUnavailable"] == 1


class TestLoading:
    def test_applying_loads_nothing(self) -> None:
        """No Job is applied with the rest, and what one is made from is suspended: it would replace the collection."""
        for folder in FOLDERS:
            assert of_kind(folder, "Job") == {}
            assert all(each["spec"]["suspend"] for each in of_kind(folder, "CronJob").values())
        assert of_kind("base", "CronJob") == {}
        assert "--replace" in containers("overlays/example")["CronJob kindred-load"]["args"]


class TestKustomize:
    """The part of kustomize that these tests do themselves."""

    def test_a_patch_adds_and_removes(self) -> None:
        """Lists of a pod grow by what has another name, other lists are replaced, null removes."""
        target = {"a": 1, "b": 2, "args": ["x", "y"], "env": [{"name": "A", "value": "1"}, {"name": "B"}]}
        change = {"b": None, "args": ["z"], "env": [{"name": "A", "value": "2"}, {"name": "C"}]}
        assert merged(target, change) == {
            "a": 1,
            "args": ["z"],
            "env": [{"name": "A", "value": "2"}, {"name": "B"}, {"name": "C"}],
        }

    def test_what_it_does_not_know_is_refused(self, tmp_path: Path) -> None:
        """A kustomization that uses more than these tests understand fails them."""
        (tmp_path / KUSTOMIZATION).write_text(yaml.safe_dump({"kind": "Kustomization", "namePrefix": "x-"}))
        with pytest.raises(ValueError, match="namePrefix"):
            build(tmp_path)
