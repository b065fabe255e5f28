//! The packages, installed and removed in a root folder of their own by the
//! real dpkg, rpm and the tarball's scripts.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// What hosts have before: Debian's and XCP-ng's own folders.
const FOLDERS: [&str; 19] = [
    "bin",
    "etc/xapi.d/plugins",
    "etc/xapi.d/vm-pre-start",
    "usr/bin",
    "usr/lib/systemd/system",
    "usr/lib/systemd/user",
    "usr/lib/xapi",
    "usr/lib64/xen/bin",
    "usr/share/bash-completion/completions",
    "usr/share/doc",
    "usr/share/fish/vendor_completions.d",
    "usr/share/man/man1",
    "usr/share/zsh/site-functions",
    "usr/share/zsh/vendor-completions",
    "var/lib/dpkg/info",
    "var/lib/dpkg/updates",
    "var/lib/rpm",
    "var/tmp",
    "tmp",
];

/// What the tools write down for themselves.
const ACCOUNTS: [&str; 3] = ["var/lib/dpkg", "var/lib/rpm", "var/log"];

const SETTINGS: &str = "etc/vgpu-stub/xcp.conf";

/// What `cargo xtask package` puts into the packages of the device, and into those of CUDA.
const PROGRAMS: [&str; 6] = [
    "vgpu-stub",
    "vgpu-emulator",
    "vgpu",
    "vgpud",
    "vgpu-ptxas",
    "libcuda.so",
];
const DEVICE: [&str; 2] = ["vgpu-stub", "vgpu-stub-xcp-ng"];

/// The packages of the device, of programs of no matter.
fn packages(epoch: &str) -> TempDir {
    packages_of(epoch, &DEVICE)
}

/// Those of these names, or all.
fn packages_of(epoch: &str, names: &[&str]) -> TempDir {
    let [programs, out] = [(); 2].map(|()| TempDir::new().unwrap());
    for name in PROGRAMS {
        fs::copy("/bin/true", programs.path().join(name)).unwrap();
    }
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask
        .arg("package")
        .args(names)
        .arg("--programs")
        .arg(programs.path())
        .arg("--out")
        .arg(out.path())
        .env("SOURCE_DATE_EPOCH", epoch);
    succeed(&mut xtask);
    out
}

fn find(folder: &TempDir, start: &str, end: &str) -> PathBuf {
    let matches = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with(start) && name.ends_with(end)
    };
    let mut files = fs::read_dir(folder.path()).unwrap();
    files
        .find_map(|file| Some(file.unwrap().path()).filter(matches))
        .unwrap_or_else(|| panic!("no {start}…{end}"))
}

fn succeed(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stdout).into_owned();
    let errors = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{said}{errors}");
    said
}

/// A command as root, which may be one in name.
fn as_root(program: impl AsRef<Path>) -> Command {
    let program = program.as_ref();
    if rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("unshare");
    command.arg("--map-root-user").arg(program);
    command
}

/// A host's root folder, with what the packages' scripts run.
fn root() -> TempDir {
    let root = TempDir::new().unwrap();
    for folder in FOLDERS {
        fs::create_dir_all(root.path().join(folder)).unwrap();
        // Other packages' files, so that none is empty.
        if !ACCOUNTS.iter().any(|account| folder.starts_with(account)) {
            fs::write(root.path().join(folder).join("other"), "").unwrap();
        }
    }
    for file in ["status", "available"] {
        fs::write(root.path().join("var/lib/dpkg").join(file), "").unwrap();
    }
    for program in ["sh", "rm"] {
        let program_here = fs::canonicalize(Path::new("/bin").join(program)).unwrap();
        fs::copy(&program_here, root.path().join("bin").join(program)).unwrap();
        for word in succeed(Command::new("ldd").arg(&program_here)).split_whitespace() {
            if let Some(name) = word.strip_prefix('/') {
                let copy = root.path().join(name);
                fs::create_dir_all(copy.parent().unwrap()).unwrap();
                fs::copy(word, copy).unwrap();
            }
        }
    }
    root
}

/// Every file, folder and link, with mode, owner and content.
fn tree(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            if ACCOUNTS.contains(&name) {
                continue;
            }
            let about = fs::symlink_metadata(&path).unwrap();
            let content = if about.is_symlink() {
                format!("{:?}", fs::read_link(&path).unwrap())
            } else if about.is_dir() {
                folders.push(path.clone());
                String::new()
            } else {
                format!("{:?}", fs::read(&path).unwrap())
            };
            let line = format!(
                "{:o} {} {} {content}",
                about.mode(),
                about.uid(),
                about.gid()
            );
            found.insert(name.to_owned(), line);
        }
    }
    found
}

/// What is in one and not, or differently, in the other.
fn differences(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
    one.iter()
        .filter(|(name, line)| other.get(*name) != Some(line))
        .map(|(name, _)| name.clone())
        .collect()
}

/// Expects all below the root to be as it was then.
fn is_as(root: &TempDir, then: &BTreeMap<String, String>, when: &str) {
    let now = tree(root.path());
    assert_eq!(
        differences(&now, then),
        Vec::<String>::new(),
        "left: {when}"
    );
    assert_eq!(
        differences(then, &now),
        Vec::<String>::new(),
        "lost: {when}"
    );
}

/// Installs and removes, twice for good measure, and expects nothing to be left.
fn leaves_nothing(root: &TempDir, parts: &[&str], install: &dyn Fn(), remove: &dyn Fn()) {
    let before = tree(root.path());
    for _ in 0..2 {
        install();
        let installed = tree(root.path());
        for part in parts {
            assert!(installed.contains_key(*part), "{part} is not there");
        }
        assert_eq!(differences(&before, &installed), Vec::<String>::new());
        remove();
        is_as(root, &before, "removed");
    }
}

const PLAIN: [&str; 6] = [
    "usr/bin/vgpu-stub",
    "usr/lib/vgpu-stub/vgpu-emulator",
    "usr/lib/vgpu-stub/vgpu-stub-device-model",
    "usr/lib/systemd/system/vgpu-stub-vfio-user@.service",
    "usr/share/man/man1/vgpu-stub-xen.1",
    "usr/share/bash-completion/completions/vgpu-stub",
];

const XCP_NG: [&str; 8] = [
    "usr/bin/vgpu-stub",
    "usr/lib/vgpu-stub/vgpu-emulator",
    "usr/lib/xapi/alternatives/xenguest/vgpu-stub",
    "usr/lib/systemd/system/vgpu-stub-xen@.service",
    "etc/xapi.d/plugins/vgpu-stub",
    "etc/xapi.d/vm-pre-start/50-vgpu-stub",
    "etc/xapi.d/vm-post-destroy/50-vgpu-stub",
    SETTINGS,
];

const TOOLS: [&str; 14] = [
    "usr/bin/vgpu",
    "usr/share/bash-completion/completions/vgpu",
    "usr/share/doc/vgpu-tools/LICENSE-APACHE",
    "usr/share/doc/vgpu-tools/LICENSE-MIT",
    "usr/share/fish/vendor_completions.d/vgpu.fish",
    "usr/share/man/man1/vgpu-doctor.1",
    "usr/share/man/man1/vgpu-library-enable.1",
    "usr/share/man/man1/vgpu-library.1",
    "usr/share/man/man1/vgpu-run.1",
    "usr/share/man/man1/vgpu-status.1",
    "usr/share/man/man1/vgpu-top.1",
    "usr/share/man/man1/vgpu.1",
    "usr/share/zsh/site-functions/_vgpu",
    "usr/share/zsh/vendor-completions/_vgpu",
];

const GUEST: [&str; 6] = [
    "usr/lib/vgpu/libcuda.so",
    "usr/lib/vgpu/libcuda.so.1",
    "usr/lib/vgpu/vgpu-ptxas",
    "usr/share/doc/vgpu-guest/LICENSE-APACHE",
    "usr/share/doc/vgpu-guest/LICENSE-MIT",
    "usr/share/man/man1/vgpu-ptxas.1",
];

const HOST: [&str; 12] = [
    "usr/bin/vgpud",
    "usr/lib/systemd/system/vgpud-link.service",
    "usr/lib/systemd/user/vgpud.service",
    "usr/share/bash-completion/completions/vgpud",
    "usr/share/doc/vgpu-host/LICENSE-APACHE",
    "usr/share/doc/vgpu-host/LICENSE-MIT",
    "usr/share/fish/vendor_completions.d/vgpud.fish",
    "usr/share/man/man1/vgpud-link.1",
    "usr/share/man/man1/vgpud-serve.1",
    "usr/share/man/man1/vgpud.1",
    "usr/share/zsh/site-functions/_vgpud",
    "usr/share/zsh/vendor-completions/_vgpud",
];

#[test]
fn a_deb_leaves_nothing() {
    let packages = packages_of(
        "1735689600",
        &["vgpu-stub", "vgpu-tools", "vgpu-guest", "vgpu-host"],
    );
    for (name, parts, scripts) in [
        ("vgpu-stub", &PLAIN[..], &["postinst", "postrm"][..]),
        ("vgpu-tools", &TOOLS, &[]),
        ("vgpu-guest", &GUEST, &["postinst", "prerm"]),
        ("vgpu-host", &HOST, &["postinst", "postrm"]),
    ] {
        let deb = find(&packages, &format!("{name}_"), ".deb");
        let root = root();
        let dpkg = |words: &[&str]| {
            let mut dpkg = as_root("dpkg");
            // The C library is no package here.
            dpkg.arg("--force-depends");
            dpkg.arg("--root").arg(root.path()).args(words);
            // Where dpkg looks for programs that it may need.
            succeed(dpkg.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"));
        };
        leaves_nothing(
            &root,
            parts,
            &|| dpkg(&["--install", deb.to_str().unwrap()]),
            &|| dpkg(&["--purge", name]),
        );
        let control = TempDir::new().unwrap();
        let mut unpack = Command::new("dpkg-deb");
        succeed(unpack.arg("--control").arg(&deb).arg(control.path()));
        let files = fs::read_dir(control.path()).unwrap();
        let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
        let mut found: Vec<_> = names
            .filter(|it| !["control", "md5sums"].contains(&&**it))
            .collect();
        found.sort();
        assert_eq!(found, scripts, "{name}");
        for script in scripts {
            stops_nothing(&fs::read_to_string(control.path().join(script)).unwrap());
        }
    }
}

/// No folder of a package of CUDA is one that programs or the linker search for libraries, and none of its names is a
/// driver's to anybody: so it goes beside every driver.
#[test]
fn the_packages_of_cuda_are_beside_all_others() {
    let packages = packages_of("1735689600", &["vgpu-tools", "vgpu-guest", "vgpu-host"]);
    let mut all = Vec::new();
    for (name, parts) in [
        ("vgpu-tools", &TOOLS[..]),
        ("vgpu-guest", &GUEST),
        ("vgpu-host", &HOST),
    ] {
        let mut contents = Command::new("dpkg-deb");
        let deb = find(&packages, &format!("{name}_"), ".deb");
        let listed = succeed(contents.arg("--contents").arg(&deb));
        let files = listed.lines().filter(|line| !line.starts_with('d'));
        let paths = files.map(|line| line.split_whitespace().nth(5).unwrap());
        let paths: Vec<_> = paths
            .map(|path| path.trim_start_matches("./").to_owned())
            .collect();
        for path in paths.iter().filter(|path| path.contains("lib/")) {
            let own = ["usr/lib/vgpu/", "usr/lib/systemd/"];
            assert!(own.iter().any(|own| path.starts_with(own)), "{path}");
        }
        // Beside those, pages of manuals alone.
        for path in paths.iter().filter(|path| !parts.contains(&&***path)) {
            assert!(path.starts_with("usr/share/man/man1/vgpu-"), "{path}");
        }
        all.extend(paths);
        let mut ask = Command::new("dpkg-deb");
        let relations = succeed(ask.arg("--field").arg(&deb));
        for relation in ["Provides", "Conflicts", "Breaks"] {
            assert!(!relations.contains(relation), "{relations}");
        }
        // An older vgpu-guest had the command; it is upgraded beside, or goes on with the other's.
        let replaces = relations.lines().find(|it| it.starts_with("Replaces"));
        let version = env!("CARGO_PKG_VERSION");
        let older = format!("Replaces: vgpu-guest (<= {version})");
        assert_eq!(
            replaces,
            (name == "vgpu-tools").then_some(older.as_str()),
            "{relations}"
        );
        let mut ask = Command::new("rpm");
        ask.args(["--query", "--requires", "--package"]);
        let needs = succeed(ask.arg(find(&packages, &format!("{name}-0"), ".rpm")));
        let depends = name != "vgpu-tools";
        for (needs, word) in [
            (&relations, format!("vgpu-tools (= {version})")),
            (&needs, format!("vgpu-tools = {version}")),
        ] {
            assert_eq!(needs.contains(&word), depends, "{name}: {needs}");
        }
        let mut ask = Command::new("rpm");
        ask.args([
            "--query",
            "--provides",
            "--conflicts",
            "--obsoletes",
            "--package",
        ]);
        let relations = succeed(ask.arg(find(&packages, &format!("{name}-0"), ".rpm")));
        assert!(
            relations.lines().all(|line| line.starts_with(name)),
            "{relations}"
        );
    }
    all.sort();
    let count = all.len();
    all.dedup();
    assert_eq!(all.len(), count, "a file is in both");
}

/// Packages had one program once, which served. It goes on until its device ends, and the next one finds both programs.
/// DKMS takes the version from the folder and from its file, and all sources are there.
#[test]
fn the_driver_is_there_for_dkms() {
    let packages = packages_of("1735689600", &["vgpu-dkms"]);
    let root = TempDir::new().unwrap();
    let mut unpack = Command::new("dpkg-deb");
    let deb = find(&packages, "vgpu-dkms_", ".deb");
    succeed(unpack.arg("--extract").arg(deb).arg(root.path()));
    let version = env!("CARGO_PKG_VERSION");
    let folder = root.path().join(format!("usr/src/vgpu-{version}"));
    let settings = fs::read_to_string(folder.join("dkms.conf")).unwrap();
    assert!(settings.contains(&format!("PACKAGE_VERSION=\"{version}\"\n")));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest/driver");
    for file in fs::read_dir(source).unwrap() {
        let file = file.unwrap().path();
        let name = file.file_name().unwrap();
        // Who builds it by hand has that in the checkout.
        if !file.is_dir() && name != "Makefile" {
            let packaged = fs::read(folder.join(name)).unwrap();
            assert!(packaged == fs::read(&file).unwrap(), "{name:?}");
        }
    }
}

#[test]
fn an_older_package_is_upgraded_while_its_program_runs() {
    let packages = packages("1735689600");
    let deb = find(&packages, "vgpu-stub_", ".deb");
    let folder = TempDir::new().unwrap();
    let (tree_of_older, older) = (folder.path().join("tree"), folder.path().join("older.deb"));
    let mut unpack = Command::new("dpkg-deb");
    succeed(unpack.arg("--raw-extract").arg(&deb).arg(&tree_of_older));
    fs::remove_file(tree_of_older.join("usr/lib/vgpu-stub/vgpu-emulator")).unwrap();
    // What goes on reading and writing is seen to run.
    fs::copy("/bin/cat", tree_of_older.join("usr/bin/vgpu-stub")).unwrap();
    let control = tree_of_older.join("DEBIAN/control");
    let text = fs::read_to_string(&control).unwrap();
    let (_, version) = text.split_once("\nVersion: ").unwrap();
    let version = version.lines().next().unwrap();
    let text = text.replace(&format!("Version: {version}"), "Version: 0.0.1");
    fs::write(&control, text).unwrap();
    let mut build = Command::new("dpkg-deb");
    build.args(["--build", "--root-owner-group", "-Zgzip"]);
    succeed(build.arg(&tree_of_older).arg(&older));

    let [fresh, upgraded] = [root(), root()];
    let install = |root: &TempDir, package: &Path| {
        let mut dpkg = as_root("dpkg");
        dpkg.arg("--root").arg(root.path()).arg("--install");
        let path = "/usr/sbin:/usr/bin:/sbin:/bin";
        succeed(dpkg.arg(package).env("PATH", path));
    };
    install(&fresh, &deb);
    install(&upgraded, &older);
    let mut serving = Command::new(upgraded.path().join("usr/bin/vgpu-stub"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    install(&upgraded, &deb);
    is_as(&upgraded, &tree(fresh.path()), "upgraded");

    let program = fs::read_link(format!("/proc/{}/exe", serving.id())).unwrap();
    assert!(
        program.ends_with("usr/bin/vgpu-stub (deleted)"),
        "{program:?}"
    );
    let (mut asks, answers) = (
        serving.stdin.take().unwrap(),
        serving.stdout.take().unwrap(),
    );
    writeln!(asks, "an access").unwrap();
    let mut answer = String::new();
    BufReader::new(answers).read_line(&mut answer).unwrap();
    assert_eq!(answer, "an access\n");
    drop(asks);
    assert!(serving.wait().unwrap().success());
}

fn rpm(root: &TempDir, words: &[&str]) -> String {
    let mut rpm = as_root("rpm");
    // Debian's rpm would keep its accounts in root's home.
    rpm.args(["--dbpath", "/var/lib/rpm", "--root"]);
    succeed(rpm.arg(root.path()).args(words))
}

#[test]
fn rpms_leave_nothing_and_are_for_rpm_4_11() {
    let packages = packages_of("1735689600", &[]);
    for (name, parts) in [
        ("vgpu-stub-0", &PLAIN[..]),
        ("vgpu-stub-xcp-ng-0", &XCP_NG),
        ("vgpu-tools-0", &TOOLS),
        ("vgpu-guest-0", &GUEST),
        ("vgpu-host-0", &HOST),
    ] {
        let file = find(&packages, name, ".rpm");
        let root = root();
        let rpm = |words: &[&str]| rpm(&root, words);
        let installed = name.trim_end_matches("-0");
        leaves_nothing(
            &root,
            parts,
            // The shell is no package here.
            &|| drop(rpm(&["--install", "--nodeps", file.to_str().unwrap()])),
            &|| drop(rpm(&["--erase", installed])),
        );
        let ask = |words: &[&str]| {
            let mut rpm = Command::new("rpm");
            succeed(rpm.args(["--query", "--package"]).arg(&file).args(words))
        };
        stops_nothing(&ask(&["--scripts"]));
        assert_eq!(ask(&["--queryformat", "%{PAYLOADCOMPRESSOR}"]), "gzip");
        for need in ask(&["--requires"]).lines() {
            // Those that rpm 4.11 has.
            let known = [
                "/bin/sh",
                "glibc >= 2.17",
                concat!("vgpu-tools = ", env!("CARGO_PKG_VERSION")),
                "rpmlib(CompressedFileNames) <= 3.0.4-1",
                "rpmlib(FileDigests) <= 4.6.0-1",
                "rpmlib(PayloadFilesHavePrefix) <= 4.0-1",
            ];
            assert!(known.contains(&need), "{need}");
        }
        let settings = ask(&["--configfiles"]);
        assert_eq!(settings.contains(SETTINGS), parts.contains(&SETTINGS));
    }
}

/// The tarball, unpacked: the folder with install.sh.
fn unpack(packages: &TempDir, to: &TempDir) -> PathBuf {
    let mut tar = Command::new("tar");
    tar.arg("--extract").arg("--file");
    tar.arg(find(packages, "vgpu-stub-xcp-ng", ".tar.gz"));
    succeed(tar.arg("--directory").arg(to.path()));
    find(to, "vgpu-stub-xcp-ng", "")
}

#[test]
fn the_tarball_leaves_nothing() {
    let packages = packages("1735689600");
    let unpacked = TempDir::new().unwrap();
    let install = unpack(&packages, &unpacked).join("install.sh");
    let root = root();
    let uninstall = root.path().join("usr/lib/vgpu-stub/uninstall.sh");
    let run = |script: &Path| {
        let mut script = as_root(script);
        succeed(script.env("DESTDIR", root.path()))
    };
    leaves_nothing(
        &root,
        &XCP_NG,
        &|| {
            run(&install);
            // An upgrade.
            run(&install);
        },
        &|| drop(run(&uninstall)),
    );

    // Settings that were changed are the administrator's, through an upgrade too.
    let before = tree(root.path());
    run(&install);
    fs::write(root.path().join(SETTINGS), "max-devices = 1\n").unwrap();
    run(&install);
    assert!(run(&uninstall).contains("kept, as it was changed"));
    let left = differences(&tree(root.path()), &before);
    assert_eq!(left, ["etc/vgpu-stub", SETTINGS]);
    fs::remove_dir_all(root.path().join("etc/vgpu-stub")).unwrap();

    // Another's file is not taken.
    fs::write(root.path().join("usr/bin/vgpu-stub"), "of a package").unwrap();
    let before = tree(root.path());
    let mut refused = as_root(&install);
    let refused = refused.env("DESTDIR", root.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("not from an earlier installation\nmend:"),
        "{said}"
    );
    assert_eq!(tree(root.path()), before);

    // So is a link that leads nowhere.
    fs::remove_file(root.path().join("usr/bin/vgpu-stub")).unwrap();
    symlink("/nowhere", root.path().join("etc/xapi.d/plugins/vgpu-stub")).unwrap();
    let mut refused = as_root(&install);
    let refused = refused.env("DESTDIR", root.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));

    for script in [
        &install,
        &PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../operator/packaging/tarball/uninstall.sh"),
    ] {
        stops_nothing(&fs::read_to_string(script).unwrap());
    }
}

/// The tarball's script would remove the files of the package.
#[test]
fn an_rpm_takes_over_from_the_tarball() {
    let packages = packages("1735689600");
    let unpacked = TempDir::new().unwrap();
    let install = unpack(&packages, &unpacked).join("install.sh");
    let file = find(&packages, "vgpu-stub-xcp-ng-0", ".rpm");
    let root = root();
    let before = tree(root.path());
    succeed(as_root(&install).env("DESTDIR", root.path()));
    // As an installation leaves it that was ended by force.
    fs::create_dir(root.path().join("usr/lib/vgpu-stub/unfinished")).unwrap();

    rpm(&root, &["--install", "--nodeps", file.to_str().unwrap()]);
    for name in ["installed", "uninstall.sh", "unfinished"] {
        let path = root.path().join("usr/lib/vgpu-stub").join(name);
        assert!(!path.exists(), "{name} is left");
    }
    rpm(&root, &["--verify", "--nodeps", "vgpu-stub-xcp-ng"]);
    let mut refused = as_root(&install);
    let refused = refused.env("DESTDIR", root.path()).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    rpm(&root, &["--verify", "--nodeps", "vgpu-stub-xcp-ng"]);
    rpm(&root, &["--erase", "vgpu-stub-xcp-ng"]);
    is_as(&root, &before, "erased");
}

/// Runs a script of the tarball where the disk is full when this tool comes to
/// this file: it leaves half a file, and fails.
fn cut_short(script: &Path, root: &TempDir, tool: &str, file: &str) {
    let tools = TempDir::new().unwrap();
    let stand_in = tools.path().join(tool);
    let text = format!(
        "#!/bin/sh\n\
         case \"$*\" in\n\
         *{file}*) for to; do :; done; : >\"$to\"; echo 'no space' >&2; exit 1 ;;\n\
         esac\n\
         exec /bin/{tool} \"$@\"\n"
    );
    fs::write(&stand_in, text).unwrap();
    fs::set_permissions(&stand_in, Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:/usr/bin:/bin", tools.path().display());
    let mut command = as_root(script);
    command.env("DESTDIR", root.path()).env("PATH", path);
    let output = command.output().unwrap();
    assert!(!output.status.success(), "not cut short at {file}");
    if tool == "cp" {
        let said = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<&str> = said.lines().collect();
        let [cause, mend] = lines[..] else {
            panic!("{said}");
        };
        assert!(
            cause.starts_with("error: ") && cause.contains(file),
            "{said}"
        );
        assert!(mend.starts_with("mend:  "), "{said}");
    }
}

#[test]
fn what_is_cut_short_can_be_done_again_or_undone() {
    let packages = packages("1735689600");
    let unpacked = TempDir::new().unwrap();
    let kit = unpack(&packages, &unpacked);
    let (install, uninstall) = (
        kit.join("install.sh"),
        kit.join("files/usr/lib/vgpu-stub/uninstall.sh"),
    );
    let root = root();
    let run = |script: &Path| {
        let mut script = as_root(script);
        succeed(script.env("DESTDIR", root.path()))
    };
    let before = tree(root.path());
    run(&install);
    let whole = tree(root.path());
    run(&uninstall);

    for file in [
        "/usr/lib/vgpu-stub/uninstall.sh",
        "/usr/lib/vgpu-stub/vgpu-emulator",
        "/usr/bin/vgpu-stub",
        "/etc/vgpu-stub/xcp.conf",
        "/etc/xapi.d/vm-pre-start/50-vgpu-stub",
    ] {
        cut_short(&install, &root, "cp", file);
        let half = tree(root.path());
        assert_eq!(differences(&half, &whole), Vec::<String>::new(), "half");
        run(&install);
        is_as(&root, &whole, file);
        run(&uninstall);
        is_as(&root, &before, file);

        cut_short(&install, &root, "cp", file);
        // As one leaves it that could not even clean up.
        let unfinished = root.path().join("usr/lib/vgpu-stub/unfinished");
        fs::create_dir(&unfinished).unwrap();
        fs::write(unfinished.join("file"), "half").unwrap();
        run(&uninstall);
        is_as(&root, &before, file);
    }

    run(&install);
    cut_short(&uninstall, &root, "rm", "/usr/bin/vgpu-stub");
    run(&uninstall);
    is_as(&root, &before, "uninstall");
}

#[test]
fn an_upgrade_removes_what_is_no_longer_part_of_it() {
    let packages = packages("1735689600");
    let (unpacked, unpacked_too) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let older = unpack(&packages, &unpacked);
    let newer = unpack(&packages, &unpacked_too);
    for file in ["etc/xapi.d/vm-pre-start/40-older", "usr/share/older/file"] {
        let path = older.join("files").join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let root = root();
    let run = |kit: &Path, script: &str| {
        let mut script = as_root(kit.join(script));
        succeed(script.env("DESTDIR", root.path()))
    };
    let uninstall = "files/usr/lib/vgpu-stub/uninstall.sh";
    let before = tree(root.path());
    run(&newer, "install.sh");
    let whole = tree(root.path());
    run(&newer, uninstall);

    run(&older, "install.sh");
    run(&newer, "install.sh");
    is_as(&root, &whole, "upgraded");

    // An upgrade that is cut short forgets none of the two.
    run(&older, "install.sh");
    cut_short(
        &newer.join("install.sh"),
        &root,
        "cp",
        "/etc/xapi.d/vm-pre-start/50-vgpu-stub",
    );
    run(&newer, uninstall);
    is_as(&root, &before, "removed");
}

/// Whoever runs the new command finds the emulator that it starts, however far an upgrade has come.
#[test]
fn an_upgrade_brings_the_emulator_before_the_command() {
    let packages = packages("1735689600");
    let (unpacked, unpacked_too) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let older = unpack(&packages, &unpacked);
    let newer = unpack(&packages, &unpacked_too);
    let (command, emulator) = ("usr/bin/vgpu-stub", "usr/lib/vgpu-stub/vgpu-emulator");
    fs::remove_file(older.join("files").join(emulator)).unwrap();
    fs::write(older.join("files").join(command), "older").unwrap();
    let root = root();
    let run = |kit: &Path| {
        let mut script = as_root(kit.join("install.sh"));
        succeed(script.env("DESTDIR", root.path()))
    };
    run(&older);
    cut_short(&newer.join("install.sh"), &root, "cp", command);
    let at = |path: &str| root.path().join(path);
    assert_eq!(fs::read(at(command)).unwrap(), b"older");
    assert_eq!(
        fs::read(at(emulator)).unwrap(),
        fs::read("/bin/true").unwrap()
    );
    run(&newer);
    assert_ne!(fs::read(at(command)).unwrap(), b"older");
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let [one, other, later] =
        ["1735689600", "1735689600", "1735689601"].map(|epoch| packages_of(epoch, &[]));
    let mut files = 0;
    for file in fs::read_dir(one.path()).unwrap() {
        let name = file.unwrap().file_name();
        let read = |folder: &TempDir| fs::read(folder.path().join(&name)).unwrap();
        assert!(read(&one) == read(&other), "{name:?} differs");
        assert!(read(&one) != read(&later), "{name:?} has no date");
        files += 1;
    }
    assert_eq!(files, 11);
}

/// A script of a package has no word that ends an emulator.
fn stops_nothing(script: &str) {
    for word in ["stop", "restart", "kill", "try-restart", "condrestart"] {
        let found = script
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'))
            .any(|line| {
                line.split(|c: char| !c.is_alphanumeric() && c != '-')
                    .any(|w| w == word)
            });
        assert!(!found, "{word}: {script}");
    }
}

#[test]
fn hooks_are_programs_of_the_shell_that_xcp_ng_has() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../operator/packaging/xcp-ng");
    for hook in ["vm-pre-start", "vm-post-destroy"] {
        let path = folder.join(hook);
        succeed(Command::new("sh").arg("-n").arg(&path));
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            Permissions::from_mode(0o755).mode()
        );
    }
}
