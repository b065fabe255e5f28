//! Manual pages, made of the command's own definition.

use std::fmt::Write;

use anyhow::Result;
use clap::Command;
use clap_mangen::Man;

/// A page of each command that is not hidden: its name, and its text.
///
/// # Errors
///
/// A page cannot be made.
pub(crate) fn pages(command: Command) -> Result<Vec<(String, Vec<u8>)>> {
    let mut command = command.disable_help_subcommand(true);
    command.build();
    let mut pages = Vec::new();
    let program = command.get_name().to_owned();
    collect(&command, &program, None, &mut pages)?;
    Ok(pages)
}

fn collect(
    command: &Command,
    program: &str,
    parent: Option<&str>,
    pages: &mut Vec<(String, Vec<u8>)>,
) -> Result<()> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    pages.push((name.to_owned(), page(command, program, parent)?));
    for command in command.get_subcommands().filter(|it| !it.is_hide_set()) {
        collect(command, program, Some(name), pages)?;
    }
    Ok(())
}

fn page(command: &Command, program: &str, parent: Option<&str>) -> Result<Vec<u8>> {
    let man = Man::new(command.clone())
        .source(format!("{program} {}", env!("CARGO_PKG_VERSION")))
        .manual(program);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    // clap_mangen's own names options without their values.
    let usage = command.clone().render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ");
    page.extend(format!(".SH SYNOPSIS\n.nf\n{}\n.fi\n", escaped(usage)).bytes());
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    if command.get_subcommands().any(|it| !it.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    let help = command.get_after_long_help().or(command.get_after_help());
    page.extend(sections(&help.map(ToString::to_string).unwrap_or_default()).bytes());
    if let Some(parent) = parent {
        page.extend(format!(".SH SEE ALSO\n.BR {} (1)\n", escaped(parent)).bytes());
    }
    Ok(page)
}

/// What manual pages call the parts of a help's end.
const HEADINGS: [(&str, &str); 4] = [
    ("Examples", "EXAMPLES"),
    ("Example", "EXAMPLES"),
    ("Exit code", "EXIT STATUS"),
    ("JSON", "JSON"),
];

/// The end of a help as sections, its lines as they are: a paragraph that
/// begins with a heading's words is that section, others are notes.
fn sections(help: &str) -> String {
    let mut text = String::new();
    let mut now = "";
    for paragraph in help.split("\n\n").filter(|it| !it.is_empty()) {
        let headed = HEADINGS.iter().find_map(|(words, heading)| {
            let lines = paragraph.strip_prefix(words)?.strip_prefix(':')?.lines();
            // They stand below their heading, or the one line beside it.
            let lines = lines.map(|line| line.strip_prefix("  ").unwrap_or(line.trim_start()));
            let lines = lines.skip_while(|line| line.is_empty());
            Some((*heading, lines.collect::<Vec<_>>().join("\n")))
        });
        let (heading, lines) = headed.unwrap_or_else(|| ("NOTES", paragraph.to_owned()));
        // Written to a String, which takes all.
        let _ = match heading == now {
            true => writeln!(text, ".PP"),
            false => writeln!(text, ".SH {heading}"),
        };
        now = heading;
        let _ = writeln!(text, ".nf\n{}\n.fi", escaped(&lines));
    }
    text
}

/// Text that troff takes for nothing else.
fn escaped(text: &str) -> String {
    let lines = text.lines().map(|line| {
        let line = line
            .replace('\\', "\\e")
            .replace('-', "\\-")
            .replace('\'', "\\(aq");
        match line.starts_with('.') {
            true => format!("\\&{line}"),
            false => line,
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_help_becomes_sections() {
        let help =
            "Examples:\n  a --b 'c'\n  d \\\n    --e\n\n.one\ntwo\n\nthree\n\nExit code: 0 if done";
        assert_eq!(
            sections(help),
            ".SH EXAMPLES\n.nf\na \\-\\-b \\(aqc\\(aq\nd \\e\n  \\-\\-e\n.fi\n\
             .SH NOTES\n.nf\n\\&.one\ntwo\n.fi\n.PP\n.nf\nthree\n.fi\n\
             .SH EXIT STATUS\n.nf\n0 if done\n.fi\n"
        );
        assert_eq!(sections(""), "");
    }

    #[test]
    fn each_page_shows_how_and_how_it_ends() {
        let stub = pages(vgpu_stub::command()).unwrap();
        assert!(stub.len() > 15);
        let vgpu = pages(vgpu_command::command()).unwrap();
        assert_eq!(vgpu.len(), 19);
        let vgpud = pages(vgpud::cli::command()).unwrap();
        assert_eq!(vgpud.len(), 3);
        let ptxas = pages(crate::ptxas::command()).unwrap();
        assert_eq!(ptxas.len(), 1);
        let all = stub.into_iter().chain(vgpu).chain(vgpud).chain(ptxas);
        for (name, page) in all {
            let page = String::from_utf8(page).unwrap();
            for section in ["SYNOPSIS", "DESCRIPTION", "EXAMPLES", "EXIT STATUS"] {
                assert_eq!(
                    page.matches(&format!(".SH {section}\n")).count(),
                    1,
                    "{name}: {section}"
                );
            }
        }
    }
}
