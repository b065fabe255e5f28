//! The project's reader of xl's files against xl's own library, of Debian 12's Xen and of Debian 13's.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use vgpu_bed::cache::Cache;
use vgpu_bed::debian::{self, Suite};
use vgpu_bed::steps::Steps;
use vgpu_xl::xl_file::{Value, XlFile};

/// The names that generated files set.
const NAMES: [&str; 3] = ["a", "b1", "device_model_args"];

/// Files that are generated for each library.
const CASES: u32 = 2_000;

/// What people write, and what was misread before.
const FILES: [&str; 25] = [
    "",
    "a = \"x\"",
    "a='x'\r\n",
    "a='x'\n# no end",
    "a='x' # end\n",
    "a=[\"x\", # it's\n'y'\n , \"z\",]\n",
    "a=[\n]\n",
    "a=[,]\n",
    "a=['x' 'y']\n",
    "a=[['x', 1], [],\n]\n",
    "a=1\na=2;b1=3",
    "a=1\nA",
    "a=0x1f\nb1=1f0x\n",
    "a=10G\n",
    "a=['x']\na+=['y']\na+=[]\n",
    "a+='y'\na+='z'\n",
    "a='x'\na+=['y']\n",
    "a=[]\na+=1\n",
    "a=\n'x'\n",
    "a=\"\\\"\\'\\\\\\t\\n\"\n",
    "a=\"\\d\"\n",
    "a=-1\n",
    "A=1\n",
    "a=\"\"\"x\"\"\"\n",
    "\u{feff}a=1\n",
];

/// A program that reads files by the library.
struct Library {
    _program: Child,
    requests: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Library {
    /// Builds it in the folder, of the library in `root`.
    fn start(root: &Path, folder: &Path) -> Result<Self> {
        let program = folder.join("libxlutil");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("xl_file/libxlutil.c");
        // Debian 13's is built for a newer C library than Debian 12 has.
        let newer =
            ["strtol", "strtoul"].map(|name| format!("-Wl,--defsym=__isoc23_{name}={name}"));
        let status = Command::new("cc")
            .arg("-static")
            .arg("-I")
            .arg(root.join("usr/include"))
            .args([&source, &root.join("usr/lib/x86_64-linux-gnu/libxlutil.a")])
            .args(newer)
            .arg("-o")
            .arg(&program)
            .status()
            .context("cannot run cc")?;
        ensure!(status.success(), "cc: {status}");
        let mut program = Command::new(program)
            .args(NAMES)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        Ok(Self {
            requests: program.stdin.take().context("no stdin")?,
            answers: BufReader::new(program.stdout.take().context("no stdout")?),
            _program: program,
        })
    }

    fn read(&mut self, file: &str) -> Result<String> {
        let length = u32::try_from(file.len())?;
        self.requests.write_all(&length.to_ne_bytes())?;
        self.requests.write_all(file.as_bytes())?;
        self.requests.flush()?;
        let mut line = String::new();
        ensure!(self.answers.read_line(&mut line)? > 0, "it has ended");
        Ok(line.trim_end().to_owned())
    }

    /// Reads a file by both.
    fn agrees(&mut self, file: &str) -> Result<(), TestCaseError> {
        let theirs = self
            .read(file)
            .map_err(|error| TestCaseError::fail(format!("{error:#}")))?;
        let ours = match XlFile::parse(file.as_bytes()) {
            Ok(file) => {
                let values = NAMES.map(|name| format!(" {}", shown(file.get(name))));
                values.concat().trim_end().to_owned()
            }
            // There, the library takes what it does not understand.
            Err(error) if error.what.contains("number after a backslash") => return Ok(()),
            // In a last line without an end it overlooks some errors.
            Err(_) if !file.ends_with('\n') => return self.agrees(&format!("{file}\n")),
            Err(_) => "error".to_owned(),
        };
        prop_assert_eq!(ours, theirs, "{:?}", file);
        Ok(())
    }
}

fn shown(value: Option<&Value>) -> String {
    match value {
        None => "-".into(),
        Some(Value::Text(text)) => {
            let digits = text.bytes().map(|byte| format!("{byte:02x}"));
            format!("t{}", digits.collect::<String>())
        }
        Some(Value::List(values)) => {
            let values = values.iter().map(|value| shown(Some(value)));
            format!("[{}]", values.collect::<String>())
        }
    }
}

/// Pieces of files, in any order: most make no sense.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "a", "b1", "device_model_args", "=", "+=", "=", "[", "]", ",", ";", "\n", "\n", "#", " ", "\t", "\r", "'", "\"",
            "\\", "'x'", "\"y\"", "1", "0x1f", "1f", "z", "A", "-", "é", "_", "+",
        ]).prop_map(str::to_owned),
        1 => "[ -~]{0,6}",
    ];
    vec(piece, 0..16).prop_map(|pieces| pieces.concat())
}

/// Files that make sense, but for a few.
fn files() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        r#"'([ -&(-\[\]-~]|\\[abfnrtv'"\\])*'"#,
        r#""([ !#-\[\]-~é]|\\[abfnrtv'"\\])*""#,
        "[0-9][0-9a-fx]{0,4}",
    ];
    let gap = prop::sample::select(vec!["", " ", "\n", "\t# it's \"x\n", " \n\n"]);
    let value = text.prop_recursive(3, 12, 4, move |value| {
        let last = prop::sample::select(vec!["", ",", ",\n"]);
        (vec((gap.clone(), value, gap.clone()), 0..4), last).prop_map(|(values, last)| {
            let last = if values.is_empty() { "" } else { last };
            let values: Vec<_> = values
                .iter()
                .map(|(a, value, b)| format!("{a}{value}{b}"))
                .collect();
            format!("[{}{last}]", values.join(","))
        })
    });
    let name = prop::sample::select(NAMES.to_vec());
    let sign = prop::sample::select(vec!["=", " = ", " += ", "+="]);
    let end = prop::sample::select(vec!["\n", ";", " # c = 'd'\n", "\n\n", "", " "]);
    let line = (name, sign, value, end)
        .prop_map(|(name, sign, value, end)| format!("{name}{sign}{value}{end}"));
    vec(line, 0..5).prop_map(|lines| lines.concat())
}

#[test]
fn files_are_read_as_xl_reads_them() -> Result<()> {
    let cache = Cache::open()?;
    let steps = Steps::new(&cache.dir("logs/tests")?)?;
    for suite in ["bookworm", "trixie"] {
        let root = debian::unpacked(&cache, &Suite::debian(suite), &["libxen-dev"], &steps)?;
        let folder = tempfile::tempdir()?;
        let mut library = Library::start(&root, folder.path())?;
        for file in FILES {
            library
                .agrees(file)
                .map_err(|error| anyhow::anyhow!("{suite}: {error}"))?;
        }
        let library = std::cell::RefCell::new(library);
        let mut runner = TestRunner::new(Config {
            failure_persistence: None,
            ..Config::with_cases(CASES)
        });
        runner
            .run(&prop_oneof![pieces(), files()], |file| {
                library.borrow_mut().agrees(&file)
            })
            .map_err(|error| anyhow::anyhow!("{suite}: {error}"))?;
    }
    Ok(())
}
