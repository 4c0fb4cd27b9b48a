"""The licenses, bans and sources of deny.toml, from cargo tree alone. Any violation is told, and the exit is 1."""

import collections
import re
import subprocess
import sys
import tomllib


def allowed(expression, allow):
    """Whether an SPDX expression can be met by the allowed licenses: AND binds before OR."""
    tokens = re.findall(r"[()]|[^\s()/]+|/", expression)

    def either():
        met = both()
        while tokens and tokens[0] in ("OR", "/"):
            tokens.pop(0)
            met = both() or met
        return met

    def both():
        met = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            met = one() and met
        return met

    def one():
        token = tokens.pop(0)
        if token == "(":
            met = either()
            tokens.pop(0)
            return met
        if tokens and tokens[0] == "WITH":
            token = " ".join([token, tokens.pop(0), tokens.pop(0)])
        return token in allow

    return either()


def banned(spec, name, version):
    crate, _, below = spec.partition(":<")
    if crate != name:
        return False
    number = lambda text: [int(part) for part in text.split("-")[0].split("+")[0].split(".")]
    return not below or number(version) < number(below)


def main():
    with open("deny.toml", "rb") as file:
        deny = tomllib.load(file)
    command = ["cargo", "tree", "--workspace", "--all-features", "--locked", "--prefix", "none"]
    command += [f"--target={target}" for target in deny["graph"]["targets"]]
    tree = subprocess.run([*command, "--format", "{p}\t{l}"], check=True, capture_output=True, text=True).stdout
    packages = sorted({line.removesuffix(" (*)") for line in tree.splitlines() if line})
    allow = set(deny["licenses"]["allow"])
    exceptions = {exception["crate"]: set(exception["allow"]) for exception in deny["licenses"].get("exceptions", [])}
    skips = [tuple(skip["crate"].split("@")) for skip in deny["bans"].get("skip", [])]
    wrong = []
    versions = collections.defaultdict(list)
    for package in packages:
        about, _, license = package.partition("\t")
        name, version, *rest = about.split(" ", 2)
        version = version.removeprefix("v")
        # A path or the address of another registry or repository stands in parentheses; crates.io does not.
        source = "".join(rest).replace("(proc-macro)", "").strip(" ()")
        versions[name].append(version)
        if not allowed(license or "none", allow | exceptions.get(name, set())):
            wrong.append(f"{name} {version}: license {license}")
        if source and not source.startswith("/"):
            wrong.append(f"{name} {version}: from {source}")
        for ban in deny["bans"]["deny"]:
            if banned(ban["crate"], name, version):
                wrong.append(f"{name} {version}: {ban['reason']}")
    for name, several in sorted(versions.items()):
        unskipped = [
            version
            for version in several
            if not any(name == crate and f"{version}.".startswith(f"{skip}.") for crate, skip in skips)
        ]
        if len(several) > 1 and len(unskipped) > 1:
            print(f"warning: {name} comes in {', '.join(sorted(several))}")
    for crate, skip in skips:
        if not any(f"{version}.".startswith(f"{skip}.") for version in versions[crate]):
            print(f"warning: {crate}@{skip} is skipped in deny.toml and not there")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(packages)} packages, {len(wrong)} violations")
    return 1 if wrong else 0


sys.exit(main())
