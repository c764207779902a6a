"""`sovereign fsck`: read all that a site holds, to its last byte, and say what is damaged; mend what loses nothing."""

from sovereign.cli.commands import option, verb
from sovereign.cli.door import Door
from sovereign.cli.findings import show
from sovereign.cli.marks import number


@verb(
    "fsck",
    fr="Relit tout ce qu'un site tient : base, clés, instantanés, journal, fichiers. Code 20 : quelque chose est abîmé.",
    en="Read all that a site holds: database, keys, snapshots, log, files. Exit code 20: something is damaged.",
)
@option(
    "--repair", is_flag=True, fr="Répare ce qui ne perd rien : droits, bases de lecture, restes d'arrêts brutaux.",
    en="Mend what loses nothing: modes, marts, leftovers of crashes.",
)  # fmt: skip
def command(door: Door, repair: bool) -> None:
    """Mend first when asked, then check, so that what is told is what is left."""
    from sovereign import soundness

    site = door.site()
    if repair:
        done = soundness.mend(site)
        door.out.done(
            "mended",
            f"Réparé : droits de {number(done.modes)} fichiers, {number(done.marts)} bases de lecture à refaire, "
            f"{number(done.connections)} connexions rangées",
            f"Mended: modes of {number(done.modes)} files, {number(done.marts)} marts to be made anew, "
            f"{number(done.connections)} connections tidied",
            modes=done.modes, marts=done.marts, connections=done.connections,
        )  # fmt: skip
    findings = list(soundness.check(site))
    site.audit.append("site.checked", {}, {"whole": True, "errors": sum(each.severity == "error" for each in findings)})
    door.exit = show(door, findings, lambda: ("tout se lit, rien n'est abîmé", "all of it reads, nothing is damaged"))
