"""``aui-worker dead``: the letters of jobs that could not be answered."""

import typer

from worker.cli import dead_acting, dead_editing, dead_looking, dead_taking

app = typer.Typer(
    name="dead",
    help="The letters of jobs that could not be answered: look, send again, correct, drop.",
    no_args_is_help=True,
)
app.command("list")(dead_looking.list_letters)
app.command()(dead_looking.show)
app.command()(dead_acting.replay)
app.command()(dead_editing.edit)
app.command()(dead_acting.drop)
app.command()(dead_taking.export)
app.command("import")(dead_taking.import_letters)
