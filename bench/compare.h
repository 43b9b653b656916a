// Methods of the papers side by side: what each costs on one engine with the same models around it, as
// planned and, on a device, as measured.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <vector>

#include "core/io/json.h"
#include "data/length_counts.h"
#include "train/planned_model.h"
#include "train/run_config.h"

namespace dehvf {

struct CompareOptions {
  std::vector<std::filesystem::path>
      presets;        // run configs; one named llava-lora* is the reference of its size
  std::string shape;  // 7b, 13b or toy for all; empty: the published models that each preset names
  int layers = 0;     // of the language model; 0: all of them
  std::vector<int64_t> lengths{32, 64, 128, 256, 512, 1024};  // of the texts, in tokens
  std::optional<LengthCounts> counts;    // instead of `lengths` and `supervised`: the fifths of a data set
  int64_t samples = 4, supervised = 8;   // texts in a step; labelled tokens of each
  SegmentMode mode = SegmentMode::keep;  // of all, whatever a preset says
  AttentionForm attention = AttentionForm::fused;  // of all, whatever a preset says
  std::optional<Device> device;                    // to measure on; none: planned only
  int rounds = 5;                                  // of measured steps, methods in turns
  MachineRates rates;   // of the machine that floors and forecasts are for; device's own where it measures
  std::string machine;  // its name

  DType measured_type() const;  // of frozen weights and activations: f32 on the CPU, else bf16
};

/// {version, what: "compare", shape, layers, samples, supervised, lengths, machine, measured_on, rates,
/// rows}, a row a method: {name, fusion, trained, published, lengths: [...]}, or {name, failed} for one that
/// a shape cannot have. Of each length: {length, flops_formula
/// (forward_flops(): of images and first_token, which count the same), train, images, first_token,
/// next_token} with flops, floor_s, forecast_s, and measured_s {median, low, high}; train also memory by
/// purpose and its peak, as forecast and as measured (of this method alone, of a step that is not replayed)
/// with how many percent more were measured, where the device tells joules of a step and watts, and ratios of
/// the reference's time to its own: ratio_floor, ratio_measured. With counts also {texts, tokenizer} as
/// `counted`, of each length {supervised, pictures (of the step's texts), share}, and of each row `expected`:
/// as a length, with means by share, of memory the most. A method that does not fit into the device's memory
/// is planned only, and says by how much in `skipped`.
Json compare_methods(const CompareOptions& options, const std::function<void(const std::string&)>& progress);

/// The same as text: what it is of, in one sentence; tables with a method a line; Markdown of both; CSV with
/// a head and a line for each method, length and phase.
std::string compare_caption(const Json& result);
struct TextTable {
  std::string title;
  std::vector<std::string> head;
  std::vector<std::vector<std::string>> rows;  // each as long as the head
};
std::string markdown_of(const TextTable& table);  // its title heads the first column; an empty line before
std::vector<TextTable> compare_tables(const Json& result);
std::string compare_markdown(const Json& result);
std::string compare_csv(const Json& result);

}  // namespace dehvf
