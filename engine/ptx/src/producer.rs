//! Which compiler wrote a text, by the comment that it puts at the head.

/// Who wrote a PTX text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Producer {
    /// NVIDIA's compiler library: the text comes from nvcc, NVRTC or libNVVM.
    Nvvm,
    /// LLVM's NVPTX back end: clang, rustc, Taichi, Triton.
    Llvm,
    /// None of those, or written by hand.
    Other,
}

/// Who wrote `text`. Only comments ahead of the first directive count, as that
/// is where a compiler signs.
#[must_use]
pub fn producer(text: &str) -> Producer {
    let mut in_block = false;
    for line in text.lines() {
        let line = line.trim();
        if !in_block && !line.is_empty() && !line.starts_with("//") && !line.starts_with("/*") {
            return Producer::Other;
        }
        if line.contains("NVIDIA NVVM Compiler") {
            return Producer::Nvvm;
        }
        if line.contains("LLVM NVPTX") {
            return Producer::Llvm;
        }
        if let Some(open) = line.rfind("/*") {
            in_block = true;
            if line.rfind("*/").is_some_and(|close| close > open) {
                in_block = false;
            }
        } else if line.contains("*/") {
            in_block = false;
        }
    }
    Producer::Other
}
