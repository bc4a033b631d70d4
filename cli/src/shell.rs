//! What a shell and `man` know of the command, made of what it knows of itself.

use std::io::Write as _;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use crate::terminal;

/// Print a shell completion script: `rappel completions bash > /etc/bash_completion.d/rappel`.
#[derive(Args)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

/// Print the manual page, with every command: `rappel man > rappel.1`.
#[derive(Args)]
pub(crate) struct Manual {}

impl Completions {
    pub(crate) fn run(self, mut command: clap::Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut command, "rappel", &mut script);
        Ok(terminal::out().write_all(&script)?)
    }
}

impl Manual {
    pub(crate) fn run<C: CommandFactory>() -> anyhow::Result<()> {
        let mut page = Vec::new();
        let mut command = C::command();
        command.build();
        Man::new(command.clone()).render(&mut page)?;
        for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
            let man = Man::new(command.clone());
            // A title of its own would begin another page.
            writeln!(page, ".SH \"RAPPEL {}\"", command.get_name().to_uppercase())?;
            man.render_description_section(&mut page)?;
            man.render_options_section(&mut page)?;
        }
        Ok(terminal::out().write_all(&page)?)
    }
}
