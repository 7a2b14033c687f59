"""Packaging of TimeCoin: dependencies are ranges, each chosen in docs/decisions."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="timecoin",
    version="0.1.0",
    description="A cryptocurrency node whose masternodes finalise every payment by quorum votes",
    long_description=Path(__file__).with_name("README.rst").read_text(encoding="utf-8"),
    long_description_content_type="text/x-rst",
    license="MIT",
    python_requires=">=3.11",
    packages=[*find_packages(include=["timecoin", "timecoin.*"]), "twisted.plugins"],
    include_package_data=True,
    package_data={"timecoin": ["py.typed"], "timecoin.node": ["genesis/*.json"]},
    install_requires=[
        "twisted[tls,conch] >=25.5, <27",
        "service-identity >=24.1, <27",
        "pyopenssl >=25.1, <27",
        "ecdsa >=0.19, <0.20",
        "zodb >=6.0, <7",
        "zodburi >=3.0, <4",
        "BTrees >=6.1, <7",
        "zope.interface >=7.2, <9",
        "txtorcon >=24.8, <27",
        "coincurve >=21.0, <22",
        "cryptography >=45",
        "gmpy2 >=2.2, <3",
        "msgspec >=0.19, <0.23",
        "embit >=0.8, <0.9",
        "rfc8785 >=0.1.4, <0.2",
        "click >=8.1, <9",
        "rich >=13.9, <16",
        "prometheus-client >=0.22, <0.27",
    ],
    extras_require={
        "dev": [
            "hypothesis >=6.130, <7",
            "numpy >=2.1, <3",
            "atheris >=3.0, <4; python_version < '3.14' and sys_platform == 'linux' and platform_machine == 'x86_64'",
            "ruff >=0.12, <0.18",
            "mypy >=1.15, <3",
            "mypy-zope >=1.0.11, <2",
            "import-linter >=2.3, <3",
            "towncrier >=24.8, <27",
            "build >=1.2, <2",
            "setuptools >=75",
            "wheel >=0.43",
        ],
    },
    entry_points={"console_scripts": ["timecoin = timecoin.cli.main:main"]},
)
