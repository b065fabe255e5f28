//! Texts that are PTX, and texts that are not.

use proptest::prelude::*;
use vgpu_ptx::{ErrorKind, Initializer, Linker, Operand, Producer, Space, Symbol, parse, producer};

const HEAD: &str = ".version 7.8\n.target sm_70, debug\n.address_size 64\n";

fn text(body: &str) -> String {
    format!("{HEAD}{body}")
}

#[test]
fn a_module_with_all_that_compilers_write() {
    let text = text(
        ".file 1 \"a.cu\"\n\
         .extern .func __assertfail (.param .b64 a);\n\
         .extern .shared .align 16 .b8 more[];\n\
         .visible .const .align 4 .f32 c[2] = {0f3F800000, 2.5};\n\
         .func (.param .b32 back) f (.param .b32 x) ;\n\
         .global .align 8 .u64 table[2] = {f, c};\n\
         .global .align 1 .b8 matrix[2][2] = {{1, 2}, {3, -4}};\n\
         .func (.param .b32 back) f (.param .b32 x) { ret; }\n\
         .visible .entry k (.param .u64 .ptr .global .align 4 p, .param .align 8 .b8 s[24])\n\
         .maxntid 128, 2, 1 .minnctapersm 4 .pragma \"x\";\n\
         {\n\
           .loc 1 2 3, function_name $L, inlined_at 1 2 3\n\
           .reg .b32 %r<3>, %x; .reg .pred %p; .reg .b64 %rd<10>;\n\
           /* a\n comment */ @!%p bra $L; // another\n\
           { .reg .b64 %x; mov.u64 %x, matrix+3; ld.global.v2.u32 {%r1, _}, [%x+-4]; }\n\
           setp.lt.u32 %p|%p, %r1, -1;\n\
           {\n .param .b32 in; .param .b32 out;\n\
           proto : .callprototype (.param .b32 _) _ (.param .b32 _);\n\
           call (out), %rd1, (in), proto; }\n\
           $L: mov.u32 %x, %tid.x; mov.b32 %x, more; ret;\n\
         }\n\
         .section .debug_str { .b8 1, 2 { } }\n",
    );
    let module = parse(&text).unwrap();
    assert_eq!((module.version, module.target), ((7, 8), "sm_70"));
    let sizes: Vec<_> = module
        .variables
        .iter()
        .map(|v| (v.name, v.space, v.size))
        .collect();
    assert_eq!(
        sizes,
        [
            ("more", Space::Shared, 0),
            ("c", Space::Constant, 8),
            ("table", Space::Global, 16),
            ("matrix", Space::Global, 4)
        ]
    );
    let kernel = &module.functions[2];
    assert_eq!((kernel.name, kernel.max_threads), ("k", Some([128, 2, 1])));
    assert_eq!(kernel.parameter_offsets(), Some((vec![0, 8], 32)));
    let forms: Vec<_> = kernel
        .instructions
        .iter()
        .map(vgpu_ptx::Instruction::form)
        .collect();
    #[rustfmt::skip]
    assert_eq!(forms, ["bra", "mov.u64", "ld.global.v2.u32", "setp.lt.u32", "call", "mov.u32", "mov.b32", "ret"]);
    assert_eq!(kernel.instructions[0].operands, [Operand::Label(5)]);
    // `%x` of the block is not that of the function.
    assert_ne!(
        kernel.instructions[1].operands[0],
        kernel.instructions[5].operands[0]
    );
    assert_eq!(kernel.instructions[5].position.line, 25);
}

/// Video instructions take parts of registers, and some with a sign.
#[test]
fn parts_of_registers() {
    let body = ".visible .entry k() { .reg .b32 %a<3>; vmad.u32.u32.u32 %a0, -%a1.h1, %a2, -%a0; }";
    let text = text(body);
    let module = parse(&text).expect("a module");
    let part = |register, part, negative| Operand::Part {
        register,
        part,
        negative,
    };
    assert_eq!(
        module.functions[0].instructions[0].operands,
        [
            Operand::Register(0),
            part(1, Some("h1"), true),
            Operand::Register(2),
            part(0, None, true),
        ]
    );
    assert!(parse(&self::text(".visible .entry k() { neg.s32 1, -x; }")).is_err());
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    let table = [
        (
            ".visible .entry k() { add.s32 %r1, 1, 2; ret; }",
            "unknown-name",
        ),
        (
            ".visible .entry k() { bra nowhere; }",
            "line 4, column 27: nothing declares `nowhere`",
        ),
        (
            ".visible .entry k() {\n  ret",
            "line 5, column 6: expected an operand, found the end",
        ),
        (
            ".reg .b32 %r1;",
            "line 4, column 1: `.reg` outside a function is not supported",
        ),
        (
            ".visible .entry k() { .reg .b32 %a, %a; }",
            "line 4, column 37: `%a` is declared twice",
        ),
        (".global .b8 x[5000000000];", "bytes for a variable"),
        (".global .b8 x[1] = {1, 2};", "bytes for a variable"),
        // Of which no bit is dropped in silence.
        (
            ".visible .entry k(.param .u64 p) { .reg .b64 %x; ld.param.u64 %x, [p+4294967296]; }",
            "an offset of more than 2147483647",
        ),
        (
            ".visible .entry k() { .reg .b64 %x; ld.u64 %x, [%x-2147483649]; }",
            "an offset of more than 2147483647",
        ),
        (
            ".global .b8 x; .global .u64 y = x+18446744073709551615;",
            "an offset of more than 2147483647",
        ),
        (
            ".visible .entry k() { ret; } .visible .entry k() { ret; }",
            "`k` is declared twice",
        ),
        ("\u{7f}", "line 4, column 1: expected PTX"),
        (".global .u32 \"x", "expected a closing quote"),
    ];
    for (body, expected) in table {
        match parse(&text(body)) {
            // A register of the machine, as far as the grammar knows.
            Ok(_) => assert_eq!(expected, "unknown-name"),
            Err(error) => assert!(error.to_string().contains(expected), "{body}: {error}"),
        }
    }
    // Of all of the text.
    let error = parse(&" ".repeat(vgpu_ptx::TEXT_MAX + 1)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1, column 1: bytes of text of more than 16777216"
    );
    // Words of a text may be as long as the text: a message is not.
    let long = "x".repeat(1 << 20);
    let many = ".s".repeat(1 << 19);
    for body in [
        format!(".{long} a;"),
        format!(".global .{long} a;"),
        format!(".global .u64 a = {long};"),
        format!(".visible .entry k() .{long} {{ ret; }}"),
        format!(".visible .entry k() {{ .{long} }}"),
        format!(".visible .entry k() {{ bra {long}; }}"),
    ] {
        let error = parse(&text(&body)).unwrap_err().to_string();
        assert!(error.len() < 200, "{} bytes: {}", error.len(), &error[..99]);
    }
    for word in [format!(".{long}"), many] {
        let whole = text(&format!(".visible .entry k() {{ add{word} 1; }}"));
        let module = parse(&whole).unwrap();
        let form = module.functions[0].instructions[0].form();
        assert!(form.starts_with("add."), "{}", &form[..9]);
        assert!(form.len() < 200, "{} bytes", form.len());
    }
    // As many blocks as a text has room for take 80 times that.
    let blocks = text(&format!(
        ".visible .entry k() {{ {} }}",
        "{}".repeat(100_000)
    ));
    let error = parse(&blocks).unwrap_err().to_string();
    assert!(
        error.contains("blocks in a function of more than 65536"),
        "{error}"
    );

    let deep = text(&format!(
        ".visible .entry k() {{ {} }}",
        "{".repeat(100_000)
    ));
    let error = parse(&deep).unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::TooLarge { limit: 64, .. }),
        "{error}"
    );
    assert!(
        parse("")
            .unwrap_err()
            .to_string()
            .contains("`.version` first")
    );
}

#[test]
fn a_declaration_of_many_registers_costs_nothing() {
    let text =
        text(".visible .entry k() { .reg .b32 %r<4294967295>; mov.u32 %r4294967294, 1; ret; }");
    let module = parse(&text).unwrap();
    assert_eq!(module.functions[0].registers.len(), 1);
}

#[test]
fn who_wrote_it() {
    let nvvm = "//\n// Generated by NVIDIA NVVM Compiler\n//\n.version 8.0";
    let llvm = "//\n// Generated by LLVM NVPTX Back-End\n//\n.version 7.0";
    let quoted = ".version 8.0\n// NVIDIA NVVM Compiler";
    assert_eq!(producer(nvvm), Producer::Nvvm);
    assert_eq!(
        producer(&nvvm.replace("//\n//", "/*\n").replace("\n//\n", "*/\n")),
        Producer::Nvvm
    );
    assert_eq!(producer(llvm), Producer::Llvm);
    assert_eq!(producer(quoted), Producer::Other);
}

/// Real text, to be damaged.
const REAL: &str = include_str!("../../../tests/corpus/clang/kernels.ptx");

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn no_text_panics(text in "\\PC{0,200}") {
        let _ = parse(&text);
        let _ = parse(&format!("{HEAD}{text}"));
        let _ = parse(&format!("{HEAD}.visible .entry k() {{ {text} }}"));
    }

    #[test]
    fn no_list_of_tokens_panics(tokens in proptest::collection::vec(prop::sample::select(vec![
        "{", "}", "(", ")", "[", "]", ";", ",", "@", "!", "%p", "%r1", "-", "+", "|", "<", ">", "=", ":", ".reg", ".b32",
        ".param", ".global", ".func", ".entry", ".visible", "x", "4", "0f3F800000", "ld", ".section", ".align", "_", "call",
    ]), 0..60)) {
        let _ = parse(&format!("{HEAD}{}", tokens.join(" ")));
    }

    #[test]
    fn damage_never_panics(at in 0..REAL.len(), length in 0usize..20, new in "[ -~]{0,8}") {
        let end = (at + length).min(REAL.len());
        let _ = parse(&format!("{}{new}{}", &REAL[..at], &REAL[end..]));
        let _ = parse(&REAL[..at]);
    }
}

/// Modules that are linked see of each other what is `.visible`, `.weak` or
/// `.common`; of two weak definitions the first counts, and a visible one more.
#[test]
fn linked_modules_become_one() {
    let first = text(
        ".extern .func f(.param .b32 x);\n.extern .global .u32 seen;\n\
         .global .u32 own = 1;\n.weak .global .u32 weak = 2;\n.weak .func g() { ret; }\n\
         .visible .entry k() { .reg .b64 %rd<3>; mov.u64 %rd1, seen; mov.u64 %rd2, own; ret; }",
    );
    let second = text(
        ".visible .func f(.param .b32 x) { ret; }\n.visible .global .u32 seen = 3;\n\
         .global .u32 own = 4;\n.weak .global .u32 weak = 5;\n.visible .func g() { trap; ret; }\n\
         .func h() { .reg .b64 %rd<2>; mov.u64 %rd1, own; ret; }",
    )
    .replace("7.8", "8.0");
    let mut linker = Linker::default();
    assert!(linker.link().is_err(), "nothing");
    for module in [&first, &second] {
        linker.add(module).unwrap();
    }
    let (linked, module) = linker.link().unwrap();
    assert!(linked.contains("own = 1") && linked.contains("own = 4"));
    assert_eq!((module.version, module.target), ((8, 0), "sm_70"));
    let variables: Vec<_> = module
        .variables
        .iter()
        .map(|variable| (variable.name, variable.initializer[0]))
        .collect();
    let bits = Initializer::Bits;
    assert_eq!(
        variables,
        [
            ("seen", bits(3)),
            ("own", bits(1)),
            ("weak", bits(2)),
            ("own", bits(4))
        ]
    );
    let functions: Vec<_> = module
        .functions
        .iter()
        .map(|function| (function.name, function.instructions.len()))
        .collect();
    assert_eq!(functions, [("f", 1), ("g", 2), ("k", 3), ("h", 2)]);
    let own = |function: usize, instruction: usize| {
        module.functions[function].instructions[instruction].operands[1].clone()
    };
    assert_eq!(own(2, 0), Operand::Symbol(Symbol::Module(0), 0));
    assert_eq!(own(2, 1), Operand::Symbol(Symbol::Module(1), 0));
    assert_eq!(own(3, 0), Operand::Symbol(Symbol::Module(3), 0));

    // Twice the same, and what is no module.
    linker.add(&second).unwrap();
    let error = linker.link().unwrap_err();
    assert!(
        matches!(error.kind, ErrorKind::Duplicate(ref name) if name == "f"),
        "{error}"
    );
    let wrong = format!("{HEAD}.visible .entry k() {{ bra nowhere; }}");
    assert!(Linker::default().add(&wrong).is_err());
    let unseen = format!(
        "{first}\n{}",
        text(".visible .entry l() { .reg .b64 %rd<2>; mov.u64 %rd1, own; ret; }")
    );
    assert!(
        matches!(parse(&unseen).unwrap_err().kind, ErrorKind::Undeclared(ref name) if name == "own")
    );
}
