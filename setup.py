"""What cloudweb is, what it needs and which commands it brings; tools: pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
README = HERE / "README.md"

# Ranges: what the code is written against. What is tested and installed, to the byte, is in
# requirements/*.txt, which `make lock` makes from this file. Reasons: docs/dependencies.md.
SERVER_REQUIRES = [
    "SQLAlchemy>=2.1,<2.2",
    "PyMySQL>=1.1",
    "alembic>=1.14",
    "argon2-cffi>=23.1",
    "click>=8.1",
    "colander>=2.0",
    "cryptography>=43",
    "defusedxml>=0.7.1",
    "markdown-it-py>=3,<5",
    "nh3>=0.2.18",
    "orjson>=3.10",
    "pika>=1.3.2,<2",
    "plaster-pastedeploy>=1.0",
    "prometheus-client>=0.21",
    "psycopg[binary]>=3.2,<4",
    "pyramid>=2.1,<3",
    "pyramid-jinja2>=2.10",
    "requests>=2.32",
    "segno>=1.6,<2",
    "ua-parser>=1.0.1",
    "waitress>=3.0.1",
]

TEST_REQUIRES = [
    "WebTest>=3.0.1",
    "coverage>=7.6",
    "hypothesis>=6.100",
    "openapi-spec-validator>=0.7",
    "playwright>=1.48",
    "pytest>=8.3",
    "pytest-timeout>=2.3",
    "schemathesis>=4,<5",
]

DEV_REQUIRES = [
    "import-linter>=2.1",
    "mypy>=1.13",
    "ruff>=0.8",
    "types-PyMySQL>=1.1",
    "types-WebOb>=1.8",
    "types-defusedxml>=0.7",
    "types-pika-ts>=1.3",
    "types-requests>=2.32",
    "uv>=0.5",
]

# What runs on a Ganeti node beside Ganeti itself: the agents, and nothing of the web.
AGENT_REQUIRES = [
    "click>=8.1",
    "pika>=1.3.2,<2",
]

setup(
    name="cloudweb",
    version="0.1.0",
    description="A self-service cloud over Ganeti clusters: APIs, dashboard and worker",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    packages=find_packages(include=["cloudweb", "cloudweb.*"]),
    package_data={
        "cloudweb": [
            "py.typed",
            "templates/**/*",
            "static/**/*",
            "help/*.md",
            "models/migrations/script.py.mako",
            "models/migrations/versions/*.py",
        ],
    },
    zip_safe=False,
    # Nobody needs everything: a node of Ganeti wants cloudweb[agent], a site cloudweb[server].
    install_requires=[],
    extras_require={
        "server": SERVER_REQUIRES,
        "agent": AGENT_REQUIRES,
        "test": TEST_REQUIRES,
        "dev": DEV_REQUIRES,
    },
    entry_points={
        "console_scripts": [
            "cloudweb = cloudweb.cli:main",
            "cloudweb-worker = cloudweb.backend.worker:main",
            "cloudweb-consumer = cloudweb.backend.amqp.consumer:main",
            "cloudweb-eventd = cloudweb.backend.agents.eventd:main",
            "cloudweb-hook = cloudweb.backend.agents.hook:main",
            "cloudweb-progress-monitor = cloudweb.backend.agents.progress:main",
            "cloudweb-vncproxy = cloudweb.backend.vncproxy.__main__:main",
        ],
        "paste.app_factory": [
            "main = cloudweb:main",
        ],
    },
)
