"""``cloudweb serve-simulator``: simulated clusters, those of the demo if none are named."""

from pathlib import Path

import click

from cloudweb.backend.ganeti.simulator import DEFAULT_PORT, ClusterSpec, parse_spec, serve
from cloudweb.cli.door import Door, pass_door

DEMO_CLUSTERS = (
    ClusterSpec("alpha", nodes=2, cpus=32, templates=("drbd", "plain", "file", "ext")),
    ClusterSpec("beta", memory_mb=16 * 1024, disk_mb=100 * 1024, templates=("plain", "file")),
)
"""What ``cloudweb demo seed`` writes into the database, and what is served here."""

DEMO_STATE = Path("var/simulator.json")


class _Cluster(click.ParamType[ClusterSpec]):
    name = "NAME[:KEY=VALUE,...]"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> ClusterSpec:
        if isinstance(value, ClusterSpec):
            return value
        try:
            return parse_spec(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command("serve-simulator")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=DEFAULT_PORT, show_default=True, help="Port; 0 takes a free one.")
@click.option(
    "--cluster",
    "clusters",
    type=_Cluster(),
    multiple=True,
    help="Such as alpha:nodes=2,memory=64G,cpus=16,disk=500G,templates=drbd+plain; again for "
    "more. Default: the two clusters of the demo.",
)
@click.option(
    "--state-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"Where the clusters are kept over a restart. Default: {DEMO_STATE} for the demo's, "
    "none for others.",
)
@click.option("--amqp", "amqp_url", metavar="URL", help="A broker that hears of every job.")
@click.option("--time-factor", default=1.0, show_default=True, help="0.1 is ten times as fast.")
@click.option("--tls", is_flag=True, help="https, with a certificate of its own.")
@pass_door
def serve_simulator(
    door: Door,
    host: str,
    port: int,
    clusters: tuple[ClusterSpec, ...],
    state_file: Path | None,
    amqp_url: str | None,
    time_factor: float,
    tls: bool,
) -> None:
    """Serve simulated Ganeti clusters until told to stop: their remote API, jobs and state.

    Each answers at http://HOST:PORT/NAME.
    """
    from cloudweb import logs

    logs.setup(door.settings)
    if not clusters:
        clusters, state_file = DEMO_CLUSTERS, state_file or DEMO_STATE
    if state_file is not None:
        state_file.parent.mkdir(parents=True, exist_ok=True)
    serve(
        host,
        port,
        clusters,
        str(state_file) if state_file else None,
        amqp_url,
        time_factor,
        tls=tls,
    )
