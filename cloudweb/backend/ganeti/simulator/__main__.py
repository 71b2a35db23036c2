"""Serves simulated clusters until it is told to stop."""

import argparse
import logging

from cloudweb.backend.ganeti.simulator import DEFAULT_PORT, parse_spec, serve


def main() -> None:
    parser = argparse.ArgumentParser(prog="cloudweb.backend.ganeti.simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one")
    parser.add_argument(
        "--cluster",
        action="append",
        metavar="NAME[:KEY=VALUE,...]",
        help="such as alpha:nodes=2,memory=64G,cpus=16,disk=500G; again for more (default alpha)",
    )
    parser.add_argument("--state-file", help="where the clusters are kept over a restart")
    parser.add_argument("--amqp", metavar="URL", help="broker that hears of every job")
    parser.add_argument("--time-factor", type=float, default=1.0, help="0.1 is ten times as fast")
    parser.add_argument("--tls", action="store_true", help="https, with a certificate of its own")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("pika").setLevel(logging.CRITICAL)
    try:
        clusters = [parse_spec(line) for line in options.cluster or ["alpha"]]
    except ValueError as error:
        parser.error(str(error))
    serve(
        options.host,
        options.port,
        clusters,
        options.state_file,
        options.amqp,
        options.time_factor,
        tls=options.tls,
    )


if __name__ == "__main__":
    main()
