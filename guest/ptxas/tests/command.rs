//! The command as a program calls it.

use std::path::Path;

use assert_cmd::Command;

const KERNELS: &str = include_str!("../../../tests/corpus/clang/kernels.ptx");

fn ptxas(folder: &Path, arguments: &[&str]) -> assert_cmd::assert::Assert {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vgpu-ptxas"));
    command.current_dir(folder).args(arguments).assert()
}

fn said(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8(assert.get_output().stderr.clone()).unwrap()
}

#[test]
fn an_image_is_written_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("in.ptx", KERNELS);
    write(
        "bad.ptx",
        ".version 7.0\n.target sm_70\n.address_size 64\n.entry k( { }\n",
    );
    write("none.ptx", "");
    let run = |arguments: &[&str]| ptxas(folder.path(), arguments);
    let done = run(&[
        "-lineinfo",
        "-v",
        "--gpu-name=sm_70",
        "in.ptx",
        "-o",
        "out.o",
    ]);
    assert!(done.success().get_output().stderr.is_empty());
    let image = std::fs::read(folder.path().join("out.o")).unwrap();
    assert!(image.starts_with(b"// vgpu image 1, ") && image.ends_with(b"\0"));
    assert_eq!(vgpu_ptx::image::text(&image), Ok(KERNELS));

    for (arguments, error) in [
        (
            ["bad.ptx", "-o", "no.o"].as_slice(),
            "bad.ptx: line 4, column 11: expected `.param`",
        ),
        (
            &["none.ptx", "-o", "no.o"],
            "none.ptx: line 1, column 1: expected `.version` first",
        ),
        (&["missing.ptx", "-o", "no.o"], "missing.ptx: No such file"),
        (
            &["in.ptx", "-o", "nowhere/no.o"],
            "nowhere/no.o: No such file",
        ),
        (
            &["in.ptx", "-o", "no.o", "--gpu-name=sm_60"],
            "for sm_70 and later, not for sm_60",
        ),
        (&["in.ptx"], "no output file"),
    ] {
        let refused = run(arguments).code(255);
        let text = said(&refused);
        assert!(
            text.starts_with("vgpu-ptxas: ") && text.contains(error),
            "{text}"
        );
    }
    // Nothing was left, and what was there stays where a later text is wrong.
    run(&["bad.ptx", "-o", "out.o"]).code(255);
    assert_eq!(std::fs::read(folder.path().join("out.o")).unwrap(), image);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| file.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["bad.ptx", "in.ptx", "none.ptx", "out.o"]);
}

#[test]
fn the_version_is_as_programs_look_for_it() {
    let folder = tempfile::tempdir().unwrap();
    let shown = ptxas(folder.path(), &["--version"]).success();
    let text = String::from_utf8(shown.get_output().stdout.clone()).unwrap();
    // Triton: `.*release (\d+\.\d+).*`
    let (_, release) = text.split_once("release ").unwrap();
    let (major, minor) = release.trim().split_once('.').unwrap();
    assert!(
        major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok(),
        "{text}"
    );
}

#[test]
fn who_may_read_what_a_user_makes_may_read_the_image() {
    use std::os::unix::fs::PermissionsExt;

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.ptx"), KERNELS).unwrap();
    ptxas(folder.path(), &["in.ptx", "-o", "out"]).success();
    let mode = |name| {
        folder
            .path()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode()
    };
    assert_eq!(mode("out"), mode("in.ptx"));
}

#[test]
fn a_pipe_stays_one() {
    use std::os::unix::fs::FileTypeExt;

    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("in.ptx"), KERNELS).unwrap();
    let pipe = folder.path().join("pipe");
    let mut mkfifo = std::process::Command::new("mkfifo");
    assert!(mkfifo.arg(&pipe).status().unwrap().success());
    let reader = std::thread::spawn({
        let pipe = pipe.clone();
        move || std::fs::read(pipe)
    });
    ptxas(folder.path(), &["in.ptx", "-o", "pipe"]).success();
    assert!(pipe.metadata().unwrap().file_type().is_fifo());
    let image = reader.join().unwrap().unwrap();
    assert_eq!(vgpu_ptx::image::text(&image), Ok(KERNELS));
}
