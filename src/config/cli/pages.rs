//! The manual page and the shells' completions, made from the flags themselves so that they name all
//! of them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::flags::{FLAGS, Kind};
use super::help::{VERSION, usage};

/// Commands behind the flags.
const COMMANDS: &str = "check completions import man";

/// Returns what a command prints: `man`, or `completions` with the name of a shell.
pub(crate) fn command(program: &str, words: &[String]) -> Option<String> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["man"] => Some(man(program)),
        ["completions", "bash"] => Some(bash(program)),
        ["completions", "zsh"] => Some(zsh(program)),
        ["completions", "fish"] => Some(fish(program)),
        _ => None,
    }
}

/// Returns a flag as it is typed: one letter behind one dash, a word behind two.
fn typed(name: &str) -> String {
    match name.len() {
        1 => format!("-{name}"),
        _ => format!("--{name}"),
    }
}

fn man(program: &str) -> String {
    let upper = program.to_ascii_uppercase();
    let options = usage(program).replace('\\', "\\e").replace('-', "\\-");
    // A line that begins with a dot or a quote would be a request.
    let options: Vec<String> = options
        .lines()
        .map(|line| match line.starts_with(['.', '\'']) {
            true => format!("\\&{line}"),
            false => String::from(line),
        })
        .collect();
    let options = options.join("\n");
    format!(
        ".TH {upper} 1 \"\" \"{program} {VERSION}\"\n\
         .SH NAME\n{program} \\- message broker for NATS clients and Memphis SDKs\n\
         .SH SYNOPSIS\n.B {program}\n[options]\n\
         .SH OPTIONS\n.nf\n{options}\n.fi\n\
         .SH SIGNALS\n.TP\n.B HUP\nread the configuration again\n.TP\n.B USR1\nopen the log file again\n\
         .TP\n.B USR2\nlet clients leave one after the other, then exit\n.TP\n.B INT, TERM\nexit\n\
         .SH COMMANDS\n.TP\n.B check [\\-\\-repair] [\\-\\-json] [\\-\\-config <file>] <dir>\n\
         verify what is stored in a directory that no server uses: exit code 0 if all of it is whole, \
         1 if something is damaged, 2 if that cannot be told; with \\-\\-repair, give up what is damaged \
         and keep all else; with \\-\\-config, take the key of an encrypted directory from a server's \
         configuration\n.TP\n.B completions bash|zsh|fish\nprint completions for a shell\n.TP\n.B import nats|memphis\n\
         take over what another server has\n.TP\n.B man\n\
         print this page\n"
    )
}

fn bash(program: &str) -> String {
    let all: Vec<String> = FLAGS.iter().map(|(name, ..)| typed(name)).collect();
    let all = all.join(" ");
    format!(
        "_{program}() {{\n  local word=${{COMP_WORDS[COMP_CWORD]}}\n  \
         if [[ ${{COMP_WORDS[COMP_CWORD-1]}} == completions ]]; then\n    \
         COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$word\"))\n    return\n  fi\n  \
         case $word in\n    -*) COMPREPLY=($(compgen -W '{all}' -- \"$word\")) ;;\n    \
         *) COMPREPLY=($(compgen -W '{COMMANDS}' -- \"$word\")) ;;\n  esac\n}}\n\
         complete -o default -F _{program} {program}\n"
    )
}

fn zsh(program: &str) -> String {
    let flags: Vec<String> = FLAGS
        .iter()
        .map(|(name, _, kind)| match kind {
            Kind::Switch => format!("  '{}'", typed(name)),
            Kind::Number => format!("  '{}:number:'", typed(name)),
            Kind::Text => format!("  '{}:value:_files'", typed(name)),
        })
        .collect();
    let flags = flags.join(" \\\n");
    format!("#compdef {program}\n_arguments \\\n{flags} \\\n  '1:command:({COMMANDS})'\n")
}

fn fish(program: &str) -> String {
    let mut out = format!("complete -c {program} -n __fish_use_subcommand -a '{COMMANDS}'\n");
    for (name, _, kind) in FLAGS {
        let option = match name.len() {
            1 => format!("-s {name}"),
            _ => format!("-l {name}"),
        };
        let value = match kind {
            Kind::Switch => "",
            Kind::Number | Kind::Text => " -r",
        };
        out.push_str(&format!("complete -c {program} {option}{value}\n"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(words: &[&str]) -> Option<String> {
        let words: Vec<String> = words.iter().map(|word| String::from(*word)).collect();
        command("beale", &words)
    }

    #[test]
    fn each_shell_completes_every_flag() {
        for shell in ["bash", "zsh", "fish"] {
            let text = printed(&["completions", shell]).expect("a shell");
            for (name, ..) in FLAGS {
                let flag = match (shell, name.len()) {
                    ("fish", 1) => format!(" -s {name}"),
                    ("fish", _) => format!(" -l {name}"),
                    _ => typed(name),
                };
                let mut words = text.split([' ', '\'', ':', '\n']);
                let found = match shell {
                    "fish" => text
                        .lines()
                        .any(|l| l.trim_end_matches(" -r").ends_with(&flag)),
                    _ => words.any(|word| word == flag),
                };
                assert!(found, "{shell} {name}");
            }
        }
        assert_eq!(printed(&["completions", "csh"]), None);
        assert_eq!(printed(&["completions"]), None);
    }

    #[test]
    fn the_manual_page_shows_the_options_and_no_line_of_them_is_a_request() {
        let page = printed(&["man"]).expect("a page");
        assert!(page.starts_with(".TH BEALE 1"));
        assert!(page.contains("\\-\\-log_size_limit"));
        let (_, options) = page.split_once(".nf\n").expect("options");
        let (options, _) = options.split_once(".fi\n").expect("their end");
        assert!(options.lines().all(|line| !line.starts_with(['.', '\''])));
        assert_eq!(printed(&["man", "page"]), None);
        assert_eq!(command("beale", &[]), None);
    }
}
