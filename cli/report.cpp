// dehvf report: one self-contained HTML page from the results of a run.
#include "cli/report.h"

#include <cstdio>

#include "cli/command.h"
#include "cli/report_page.h"
#include "core/io/file.h"

namespace dehvf::cli {

std::string write_report(const std::filesystem::path& run, const std::filesystem::path& page) {
  const auto file = run / "results.json";
  const RunResults results = read_results(read_json(file), file.string());
  const Plots plots = draw_plots(file);
  write_file(page, report_page(results, run, plots));
  return plots.missing;
}

void add_report(CLI::App& program, Action& chosen) {
  struct Options {
    std::filesystem::path run, out;
    bool json = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = program.add_subcommand(
      "report", "writes an HTML page about a run\nexample: dehvf report runs/demo --out report.html");
  command->add_option("run", options->run, "folder with results.json, as dehvf demo writes it")->required();
  command->add_option("--out", options->out, "the page; RUN/report.html if not given");
  command->add_flag("--json", options->json, "ends with one JSON object on one line");
  command->callback([&chosen, options] {
    chosen = [options] {
      const auto page = options->out.empty() ? options->run / "report.html" : options->out;
      const std::string missing = write_report(options->run, page);
      if (options->json)
        std::printf("%s\n", Json{{"page", page.string()}, {"plots", missing.empty()}}.dump().c_str());
      else
        std::printf("report: %s%s%s\n", page.c_str(), missing.empty() ? "" : "  ", missing.c_str());
    };
  });
}

}  // namespace dehvf::cli
