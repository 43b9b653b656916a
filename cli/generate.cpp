// dehvf generate and dehvf chat: text written by a model, with a picture where an adapter can see.
#include "models/generate.h"

#include <cstdio>
#include <iostream>

#include "cli/command.h"
#include "cli/model_options.h"
#include "core/io/file.h"
#include "core/io/json.h"
#include "models/tokenizer.h"
#include "train/picture_source.h"

namespace dehvf::cli {
namespace {

struct Writer {
  ModelOptions model;
  GenerateOptions generate;

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
  }
};

class Session {
 public:
  explicit Session(const Writer& writer)
      : options_(writer.generate),
        opened_(writer.model.open(DType::f32)),
        tokenizer_(open_tokenizer(writer.model.files.llama)) {
    options_.stop = opened_.model->llama().config().eos;
    if (tokenizer_->eos() >= 0) options_.stop.push_back(tokenizer_->eos());
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

  Generated write(const std::string& prompt, const Tensor& pixels) const {
    const NoGrad no_grad;
    const std::vector<int32_t> ids = tokenizer_->encode(prompt, tokenizer_->bos() >= 0);
    require<ConfigError>(!ids.empty(), "the prompt is empty");
    const int32_t image = pixels.defined() ? 0 : -1;
    const TextBatch batch = pack(std::span(&ids, 1), std::span(&image, 1));
    const TowerLevels levels = pixels.defined() ? opened_.model->look(pixels) : TowerLevels{};
    return generate(opened_.model->llama(), opened_.model->see(levels), batch, options_)[0];
  }

  std::string text_of(const Generated& generated) const { return tokenizer_->decode(generated.tokens); }

 private:
  GenerateOptions options_;
  OpenedModel opened_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

struct Generate {
  Writer writer;
  std::string prompt;
  std::filesystem::path image;
  bool json = false;

  void run() const {
    const Session session(writer);
    const Generated generated = session.write(prompt, image.empty() ? Tensor{} : session.picture(image));
    const std::string text = session.text_of(generated);
    if (json)
      std::printf(
          "%s\n",
          Json{{"text", text}, {"tokens", generated.tokens}, {"stopped", generated.stopped}}.dump().c_str());
    else
      std::printf("%s\n", text.c_str());
  }
};

struct Chat {
  Writer writer;
  bool json = false;

  void run() const {
    const Session session(writer);
    Tensor pixels;
    for (std::string line; prompt(), std::getline(std::cin, line);) {
      try {
        if (line.starts_with("/image "))
          pixels = session.picture(line.substr(7));
        else if (!line.empty())
          answer(session, session.write(line, pixels));
      } catch (const Error& error) {  // a bad line does not end the talk
        std::fprintf(stderr, "dehvf: %s\n", error.what());
      }
    }
  }

 private:
  void prompt() const {
    if (!json) std::fputs("> ", stderr);
  }
  void answer(const Session& session, const Generated& generated) const {
    const std::string text = session.text_of(generated);
    const std::string shown =
        json ? Json{{"text", text}, {"tokens", generated.tokens}, {"stopped", generated.stopped}}.dump()
             : text;
    std::printf("%s\n", shown.c_str());
    std::fflush(stdout);
  }
};

}  // namespace

void add_generate(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Generate>();
  auto* command =
      program.add_subcommand("generate",
                             "continues a prompt\nexample: dehvf generate --model llama --tower "
                             "clip --adapter run/adapter --image cat.png --prompt \"What is it?\"");
  options->writer.add_to(*command);
  command->add_option("--prompt", options->prompt, "plain text; markers in it mean nothing")->required();
  command->add_option("--image", options->image, "PNG or JPEG file");
  command->add_flag("--json", options->json, "one JSON object on one line");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

void add_chat(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<Chat>();
  auto* command = program.add_subcommand(
      "chat",
      "answers each line of standard input on its own; '/image FILE' shows a picture to the lines after it\n"
      "example: dehvf chat --model llama --tower clip --adapter run/adapter");
  options->writer.add_to(*command);
  command->add_flag("--json", options->json, "one JSON object on one line for each answer");
  command->callback([&chosen, options] { chosen = [options] { options->run(); }; });
}

}  // namespace dehvf::cli
