// Adapters as their authors' code saves them: MemVP's and LaVIN's checkpoint-N.pth, LLaVA's mm_projector.bin
// and its folder of a LoRA run. What stands for what: docs/formats.md.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace dehvf {

/// Whether `path` is a file, or a folder with one of LLaVA's files and no whole model in it.
bool may_be_published_adapter(const std::filesystem::path& path);

/// Makes the adapter folder `to` of such a file or folder (torch or safetensors); the names in it say whose
/// it is. Returns that: "MemVP", "LaVIN" or "LLaVA". What the file does not say goes into `notes`. Throws
/// IoError for damage, and ConfigError listing every tensor that is missing, not known or of another shape,
/// and for what the operator here cannot express.
std::string import_adapter(const std::filesystem::path& from, const std::filesystem::path& to,
                           std::vector<std::string>& notes);

/// The way back: the adapter's tensors under its authors' names as file `to`, in safetensors. Throws
/// ConfigError naming what their code has no place for.
std::string export_adapter(const std::filesystem::path& from, const std::filesystem::path& to,
                           std::vector<std::string>& notes);

}  // namespace dehvf
