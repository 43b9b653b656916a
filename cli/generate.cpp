// dehvf generate and dehvf chat: text written by a model, with a picture where an adapter can see.
#include "models/generate.h"

#include <cstdio>
#include <iostream>

#include "cli/command.h"
#include "cli/model_options.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "core/ops/rows.h"
#include "core/variants.h"
#include "data/prompt.h"
#include "data/scorers/answer_extraction.h"
#include "models/tokenizer.h"
#include "train/picture_source.h"

namespace dehvf::cli {
namespace {

// What is asked of the model, before it becomes a prompt.
struct Asked {
  std::string text, hint;
  std::vector<std::string> choices;
};

struct Answer {
  std::string prompt, text;
  Generated generated;
  std::optional<int> choice;
};

struct Writer {
  ModelOptions model;
  GenerateOptions generate;
  bool raw = false, json = false;
  std::string device = "auto", dtype = "f32";

  void add_to(CLI::App& command) {
    model.add_to(command);
    command.add_option("--max-new", generate.max_new, "tokens at most")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    command.add_option("--temperature", generate.temperature, "0: always the most probable token")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    command.add_option("--top-p", generate.top_p, "probability that the tokens sampled from reach together")
        ->check(CLI::Range(0.0, 1.0))
        ->capture_default_str();
    command.add_option("--seed", generate.seed)->capture_default_str();
    command.add_option("--device", device, "auto, cpu, cuda:N or emulator")->capture_default_str();
    command.add_option("--dtype", dtype, "of weights and activations: f32, bf16 or f16")
        ->capture_default_str();
    command.add_flag("--raw", raw, "the text as it is, not in the form of prompt that the adapter learned");
    command.add_flag("--json", json, "one JSON object on one line for each answer");
  }
};

class Session {
 public:
  explicit Session(const Writer& writer)
      : options_(writer.generate),
        format_(writer.raw ? std::nullopt : format_of(writer.model.files.adapter)),
        device_(chosen_device(writer.device)),
        opened_(writer.model.open(dtype_named(writer.dtype))),
        tokenizer_(open_tokenizer(writer.model.files.llama)) {
    opened_.model->move_to(device_);
    options_.stop = stop_ids(opened_.model->llama().config(), *tokenizer_);
    compare_tokenizer(writer.model.files);
  }

  /// Without an adapter nothing can look at a picture.
  Tensor picture(const std::filesystem::path& image) const {
    require<ConfigError>(!opened_.model->fusion().tower().levels.empty(), image.string(),
                         ": a picture needs --tower and an --adapter that looks at it");
    require<ConfigError>(
        opened_.recipe.has_value(),
        "the tower's folder has no preprocessor_config.json that says how to prepare pictures");
    return load_pixels(std::span(&image, 1), *opened_.recipe);
  }
  size_t pictures() const { return size_t(opened_.model->images()); }  // that a question has, or none

  Answer write(const Asked& asked, const std::vector<Tensor>& shown) const {
    const NoGrad no_grad;
    Answer answer{.prompt = prompt_of(asked)};
    const std::vector<int32_t> ids = tokenizer_->encode(answer.prompt, tokenizer_->bos() >= 0);
    require<ConfigError>(!ids.empty(), "the prompt is empty");
    require<ConfigError>(shown.empty() || shown.size() == pictures(), "pictures: the adapter takes ",
                         pictures(), " (fusion.images) or none, found ", shown.size());
    const int32_t image = shown.empty() ? -1 : 0;
    const TextBatch batch = pack(std::span(&ids, 1), std::span(&image, 1));
    const TowerLevels levels = shown.empty() ? TowerLevels{} : opened_.model->look(concat_rows(shown));
    answer.generated = generate(opened_.model->llama(), opened_.model->see(levels), batch, options_)[0];
    print_notes(take_kernel_notes());
    answer.text = tokenizer_->decode(answer.generated.tokens);
    if (format_ && !asked.choices.empty()) answer.choice = choice_of(answer.text, asked.choices);
    return answer;
  }

 private:
  // That of the adapter's training; none for a model alone, and for files that do not say.
  static std::optional<PromptFormat> format_of(const std::filesystem::path& adapter) {
    if (!std::filesystem::is_directory(adapter)) return {};
    const std::string name = describe_adapter(adapter).prompt_format;
    return name.empty() ? std::nullopt : std::optional(prompt_format(name.substr(0, name.find(" with "))));
  }

  void compare_tokenizer(const ModelFiles& files) const {
    if (!std::filesystem::is_directory(files.adapter)) return;
    const std::string trained_on = describe_adapter(files.adapter).tokenizer_fingerprint;
    if (!trained_on.empty() && trained_on != tokenizer_->fingerprint())
      print_notes({concat(
          files.llama.string(), ": another tokenizer than the one that the adapter was trained with (",
          "fingerprint ", tokenizer_->fingerprint(), ", wanted ", printable(trained_on), ")")});
  }

  std::string prompt_of(const Asked& asked) const {
    if (!format_) {
      require<ConfigError>(asked.choices.empty() && asked.hint.empty(),
                           "choices and a hint belong to an adapter's form of prompt, and here the text is "
                           "taken as it is");
      return asked.text;
    }
    Problem problem{.question = asked.text, .hint = asked.hint, .choices = asked.choices};
    const bool lists_them = *format_ != PromptFormat::word;
    require<ConfigError>(!lists_them || problem.choices.size() > 1,
                         "the adapter learned prompts of the form ", prompt_format_name(*format_),
                         ", with choices: give two or more, or ask for the text as it is (--raw)");
    require<ConfigError>(problem.choices.size() <= 26, "wanted at most 26 choices, found ",
                         problem.choices.size());
    if (problem.choices.empty()) problem.choices = {""};
    return build_prompt(problem, *format_, false).prompt;
  }

  // Nothing was put into the model's mouth: where its text is a sentence, the letter is the sentence's.
  std::optional<int> choice_of(const std::string& text, const std::vector<std::string>& choices) const {
    if (*format_ == PromptFormat::qcm_a)
      return extract_answer(text, int(choices.size()), ExtractionRule::llava);
    return extract_answer(text, choices, *format_);
  }

  GenerateOptions options_;
  std::optional<PromptFormat> format_;
  Device device_;
  OpenedModel opened_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

void print(const Answer& answer, bool json) {
  if (json) {
    Json line{{"prompt", answer.prompt},
              {"text", answer.text},
              {"tokens", answer.generated.tokens},
              {"stopped", answer.generated.stopped}};
    if (answer.choice) line["choice"] = *answer.choice;
    std::printf("%s\n", line.dump().c_str());
  } else {
    const size_t begin = answer.text.find_first_not_of(' ');
    std::printf("%s\n", begin == std::string::npos ? "" : answer.text.c_str() + begin);
    if (answer.generated.tokens.empty()) print_notes({"the model ended its text at once"});
  }
  std::fflush(stdout);
}

struct Generate {
  Writer writer;
  Asked asked;
  std::vector<std::filesystem::path> images;

  void run() const {
    const Session session(writer);
    std::vector<Tensor> shown;
    for (const auto& image : images) shown.push_back(session.picture(image));
    print(session.write(asked, shown), writer.json);
  }
};

std::vector<std::string> split_choices(const std::string& text) {
  std::vector<std::string> choices;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('|', begin), text.size());
    const size_t first = text.find_first_not_of(' ', begin);
    if (first < end) {
      const size_t last = text.find_last_not_of(' ', end - 1);
      choices.push_back(text.substr(first, last - first + 1));
    }
    begin = end + 1;
  }
  return choices;
}

struct Chat {
  Writer writer;

  void run() const {
    const Session session(writer);
    std::vector<Tensor> shown;
    Asked asked;
    for (std::string line; prompt(), std::getline(std::cin, line);) {
      try {
        if (line.starts_with("/image "))
          show(session.picture(line.substr(7)), session.pictures(), shown);
        else if (line.starts_with("/choices"))
          asked.choices = split_choices(line.substr(8));
        else if (!line.empty())
          asked.text = line, print(session.write(asked, shown), writer.json);
      } catch (const Error& error) {  // a bad line does not end the talk
        std::fprintf(stderr, "dehvf: %s\n", error.what());
      }
    }
  }

 private:
  // One more picture, or the first of others.
  static void show(Tensor picture, size_t most, std::vector<Tensor>& shown) {
    if (shown.size() == most) shown.clear();
    shown.push_back(std::move(picture));
  }
  void prompt() const {
    if (!writer.json) std::fputs("> ", stderr);
  }
};

}  // namespace

void add_generate(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Generate>();
  auto* command = program.add_subcommand(
      "generate",
      "answers a question in the form of prompt that the adapter learned; without an adapter, continues a "
      "text\nexample: dehvf generate --model llama --tower clip --adapter run/adapter --image cat.png "
      "--prompt "
      "\"What is it?\" --choice cat --choice dog");
  options->writer.add_to(*command);
  command->add_option("--prompt", options->asked.text, "the question or text; markers in it mean nothing")
      ->required();
  command->add_option("--choice", options->asked.choices, "a choice of the question; repeatable")
      ->allow_extra_args(false);
  command->add_option("--hint", options->asked.hint, "what is told before the question");
  command
      ->add_option("--image", options->images,
                   "PNG or JPEG file; repeated for an adapter that takes several (fusion.images)")
      ->allow_extra_args(false);
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

void add_chat(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Chat>();
  auto* command = program.add_subcommand(
      "chat",
      "answers each line of standard input on its own, as generate does; '/image FILE' shows a picture to "
      "the lines after it (for an adapter that takes two, the second time another beside it), '/choices A | "
      "B' "
      "gives them choices\nexample: dehvf chat --model llama --tower clip --adapter run/adapter");
  options->writer.add_to(*command);
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
