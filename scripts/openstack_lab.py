"""A real Keystone and the Nova APIs of two regions on loopback, for tests: up, or down [--wipe].

Everything is under CLOUDWEB_OPENSTACK_LAB (/tmp/cloudweb-openstack): a virtual environment with
what scripts/openstack-lab/requirements.txt names, SQLite databases, configuration and logs. Flavors
are real; there is no scheduler and no compute node. The last line of "up" says where Keystone is.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import requests

HERE = Path(__file__).resolve().parent
LAB = Path(os.environ.get("CLOUDWEB_OPENSTACK_LAB", "/tmp/cloudweb-openstack"))
VENV = Path(os.environ.get("CLOUDWEB_OPENSTACK_VENV", LAB / "venv"))
KEYSTONE = "http://127.0.0.1:25000/v3"
REGIONS = {"Spain2": 25001, "Trento": 25002}
ADMIN, DEMO, SERVICE = "adminpw", "demopw", "servicepw"
FLAVORS = {
    "1": ("m1.tiny", 1, 512, 1),
    "2": ("m1.small", 1, 2048, 20),
    "3": ("m1.medium", 2, 4096, 40),
}
Json = dict[str, Any]

KEYSTONE_CONF = """\
[DEFAULT]
log_file = {lab}/keystone.log
[database]
connection = sqlite:///{lab}/keystone.sqlite
sqlite_synchronous = false
[token]
provider = fernet
[fernet_tokens]
key_repository = {lab}/fernet
[fernet_receipts]
key_repository = {lab}/fernet
[credential]
key_repository = {lab}/credential
"""

NOVA_CONF = """\
[DEFAULT]
log_file = {lab}/{region}.log
state_path = {lab}/{region}
transport_url = fake://
my_ip = 127.0.0.1
[api_database]
connection = sqlite:///{lab}/{region}-api.sqlite
sqlite_synchronous = false
[database]
connection = sqlite:///{lab}/{region}-cell1.sqlite
sqlite_synchronous = false
[wsgi]
api_paste_config = {lab}/{region}/api-paste.ini
[oslo_concurrency]
lock_path = {lab}/{region}
[keystone_authtoken]
www_authenticate_uri = {keystone}
{account}
[keystone]
{account}
[placement]
{account}
"""
ACCOUNT = """\
auth_type = password
auth_url = {keystone}
username = nova
password = {password}
project_name = service
user_domain_id = default
project_domain_id = default
region_name = {region}
"""


def run(*command: str | Path, **variables: str) -> None:
    """Runs a program of the lab quietly; its output is shown when it fails."""
    done = subprocess.run(
        ["nice", *command],
        env=os.environ | {"PYTHONWARNINGS": "ignore"} | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout[-4000:], file=sys.stderr)
        raise SystemExit(f"error: {Path(command[0]).name} failed (status {done.returncode})")


def install() -> None:
    """The virtual environment; about three minutes the first time."""
    if (VENV / "bin" / "nova-manage").exists():
        return
    print("installing Keystone and Nova", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", VENV], check=True)
    pip = VENV / "bin" / "pip"
    run(pip, "install", "-q", "wheel", "setuptools<81")
    run(pip, "install", "-q", "-r", HERE / "openstack-lab" / "requirements.txt")


def serve(name: str, port: int, module: str, **variables: str) -> None:
    """Starts one service, unless it answers, and waits for it."""
    if answers(port):
        return
    settings = LAB / f"{name}.gunicorn.py"
    # Both services read the command line, so that gunicorn gets its settings from a file.
    settings.write_text(
        f'wsgi_app = "{module}:application"\nbind = "127.0.0.1:{port}"\nworkers = 1\n'
        f'threads = 4\nworker_class = "gthread"\ntimeout = 120\npidfile = "{LAB}/{name}.pid"\n'
        "control_socket_disable = True\n"
    )
    with (LAB / f"{name}.out").open("a") as output:
        subprocess.Popen(
            ["nice", VENV / "bin" / "gunicorn"],
            env=os.environ
            | {"PYTHONWARNINGS": "ignore", "GUNICORN_CMD_ARGS": f"--config {settings}"}
            | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    ends = time.monotonic() + 120
    while not answers(port):
        if time.monotonic() > ends:
            raise SystemExit(f"error: {name} does not answer; see {LAB}/{name}.out")
        time.sleep(0.2)


def answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=5).status_code < 500
    except requests.RequestException:
        return False


def start_keystone() -> None:
    conf = LAB / "keystone.conf"
    conf.write_text(KEYSTONE_CONF.format(lab=LAB))
    manage = [VENV / "bin" / "keystone-manage", "--config-file", conf]
    if not (LAB / "keystone.sqlite").exists():
        for name in ("fernet", "credential"):
            (LAB / name).mkdir(mode=0o700, exist_ok=True)
        owner = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
        run(*manage, "db_sync")
        run(*manage, "fernet_setup", *owner)
        run(*manage, "credential_setup", *owner)
        for region in REGIONS:
            urls = [
                f"--bootstrap-{kind}-url={KEYSTONE}" for kind in ("admin", "public", "internal")
            ]
            run(
                *manage,
                "bootstrap",
                "--bootstrap-password",
                ADMIN,
                "--bootstrap-region-id",
                region,
                *urls,
            )
    serve("keystone", 25000, "keystone.wsgi.api", OS_KEYSTONE_CONFIG_FILES=str(conf))


def start_nova(region: str, port: int) -> None:
    folder = LAB / region
    folder.mkdir(exist_ok=True)
    shutil.copy(VENV / "etc" / "nova" / "api-paste.ini", folder / "api-paste.ini")
    account = ACCOUNT.format(keystone=KEYSTONE, password=SERVICE, region=region)
    conf = folder / "nova.conf"
    conf.write_text(NOVA_CONF.format(lab=LAB, region=region, keystone=KEYSTONE, account=account))
    manage = [VENV / "bin" / "nova-manage", "--config-file", conf]
    if not (LAB / f"{region}.made").exists():
        cell0 = f"sqlite:///{LAB}/{region}-cell0.sqlite"
        run(*manage, "api_db", "sync")
        run(*manage, "cell_v2", "map_cell0", "--database_connection", cell0)
        run(*manage, "db", "sync")
        (LAB / f"{region}.made").touch()
    serve(region, port, "nova.wsgi.osapi_compute", OS_NOVA_CONFIG_DIR=str(folder))


class Admin:
    """Speaks to Keystone and Nova as their administrator."""

    def __init__(self) -> None:
        default = {"id": "default"}
        user = {"name": "admin", "password": ADMIN, "domain": default}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": user}},
            "scope": {"project": {"name": "admin", "domain": default}},
        }
        answer = requests.post(f"{KEYSTONE}/auth/tokens", json={"auth": auth}, timeout=60)
        answer.raise_for_status()
        self._headers = {"X-Auth-Token": answer.headers["X-Subject-Token"]}

    def call(self, method: str, url: str, body: Json | None = None) -> Json:
        answer = requests.request(method, url, json=body, headers=self._headers, timeout=60)
        answer.raise_for_status()
        return answer.json() if answer.content else {}

    def have(self, noun: str, query: str, **values: Any) -> str:
        """The id of the one that there is, or of a new one."""
        found = self.call("GET", f"{KEYSTONE}/{noun}s?{query}")[f"{noun}s"]
        if not found:
            made = self.call("POST", f"{KEYSTONE}/{noun}s", {noun: values})
            return str(made[noun]["id"])
        return str(found[0]["id"])


def describe(admin: Admin) -> None:
    """Accounts, projects, and Nova's endpoints in the catalog."""
    for account, password, project, role in (
        ("nova", SERVICE, "service", "admin"),
        ("nova", SERVICE, "service", "service"),
        ("demo", DEMO, "demo", "member"),
    ):
        user_id = admin.have("user", f"name={account}", name=account, password=password)
        project_id = admin.have("project", f"name={project}", name=project)
        role_id = admin.have("role", f"name={role}", name=role)
        admin.call("PUT", f"{KEYSTONE}/projects/{project_id}/users/{user_id}/roles/{role_id}")
    compute = admin.have("service", "type=compute", type="compute", name="nova")
    for region, port in REGIONS.items():
        for interface in ("public", "internal"):
            admin.have(
                "endpoint",
                f"service_id={compute}&region_id={region}&interface={interface}",
                service_id=compute,
                region_id=region,
                interface=interface,
                url=f"http://127.0.0.1:{port}/v2.1",
            )


def fill(admin: Admin, port: int) -> None:
    base = f"http://127.0.0.1:{port}/v2.1/flavors"
    known = {flavor["id"] for flavor in admin.call("GET", base)["flavors"]}
    for id_, (name, vcpus, ram, disk) in FLAVORS.items():
        if id_ not in known:
            values = {"id": id_, "name": name, "vcpus": vcpus, "ram": ram, "disk": disk}
            admin.call("POST", base, {"flavor": values})


def up() -> None:
    LAB.mkdir(parents=True, exist_ok=True)
    install()
    start_keystone()
    describe(Admin())
    for region, port in REGIONS.items():
        start_nova(region, port)
        fill(Admin(), port)
    print(KEYSTONE)


def pids() -> Iterator[int]:
    for name in ("keystone", *REGIONS):
        file = LAB / f"{name}.pid"
        if file.exists():
            yield int(file.read_text())


def down(*, wipe: bool) -> None:
    """Ends what was started, by its pid; ``wipe`` forgets the databases too."""
    for pid in pids():
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
    ends = time.monotonic() + 15
    while any(answers(port) for port in (25000, *REGIONS.values())) and time.monotonic() < ends:
        time.sleep(0.2)
    if wipe and LAB.exists():
        for path in LAB.iterdir():
            if path != VENV:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["up"]:
            up()
        case ["down", *rest]:
            down(wipe="--wipe" in rest)
        case _:
            sys.exit("usage: openstack_lab.py up|down [--wipe]")
