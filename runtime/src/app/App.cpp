// Command-line parsing and exit codes.
#include "App.h"

#include "Commands.h"
#include "Signals.h"
#include "Text.h"
#include "TrainCommandLine.h"
#include "UsageError.h"
#include "Validators.h"
#include "Versions.h"

#include <cstdio>
#include <exception>
#include <functional>
#include <limits>
#include <new>

namespace tnrt {
namespace {

using Command = std::function<Result<int>(Environment &)>;

class CommandLine {
public:
  CommandLine(const std::string &name, const Manifest &manifest)
      : program(shellQuote(name)), name(name),
        app(manifest.name + ", compiled by " + manifest.compiler) {
    app.name(program);
    app.require_subcommand(1);
    app.fallthrough();
    app.set_version_flag("--version",
                         manifest.name + " " + manifest.fingerprint + "\n" +
                             manifest.compiler + "\n" + builtFrom() + "\n" +
                             linkedVersions());
    app.add_option("--threads", common.threads,
                   "worker threads (default: all cores)")
        ->check(integerIn(1, 4096));
    app.add_option("--device", common.device,
                   "GPU to run on, of a GPU program (default 0)")
        ->type_name("N")
        ->check(integerIn(0, 1023));
    app.add_option("--weights", common.weightsPath,
                   "checkpoint to use instead of the one compiled in")
        ->type_name("PATH");
    app.add_flag("--deterministic", common.deterministic,
                 manifest.isTraining()
                     ? "the same bits each time, with any number of threads "
                       "(always so)"
                     : "the same bits for a sequence in any batch, with any "
                       "number of threads (always so on a CPU, never promised "
                       "on a GPU)");
    app.add_flag("-q,--quiet", common.quiet,
                 "no progress bar and no notes on stderr");
    app.footer(
        "Example: " + program +
        (manifest.isTraining()
             ? " train --data 'shards/*.bin' --out run --batch-tokens 8192 "
               "--seq 512 --steps 1000"
             : " generate -p \"Once upon a time\"") +
        "\n" + program +
        " COMMAND --help shows the options of a command and an example.");
    addInfo();
    if (manifest.isTraining()) {
      training.addTo([this](auto... arguments) { return add(arguments...); });
      addGrad();
    } else {
      addGenerate();
      addScore();
      addRun();
      addBench();
      addTokenize();
    }
    addDetokenize();
  }

  // Parses; the exit code when there is nothing to run (help, version, an
  // error).
  std::optional<int> parse(int argc, const char *const *argv, Output &out) {
    try {
      app.parse(argc, argv);
    } catch (const CLI::CallForHelp &) {
      out.write(app.help());
      return kOk;
    } catch (const CLI::CallForAllHelp &) {
      out.write(app.help("", CLI::AppFormatMode::All));
      return kOk;
    } catch (const CLI::CallForVersion &) {
      out.write(app.version() + "\n");
      return kOk;
    } catch (const CLI::ParseError &error) {
      std::fprintf(stderr, "%s: %s (see %s --help)\n", name.c_str(),
                   explainUsage(app, error).c_str(), place().c_str());
      return kBadInput;
    }
    return std::nullopt;
  }

  Command command() const { return chosen; }
  const CommonOptions &commonOptions() const { return common; }

private:
  CLI::App *add(const std::string &name, const std::string &help,
                const std::string &example, Command command) {
    CLI::App *sub = app.add_subcommand(name, help);
    sub->footer("Example: " + program + " " + example);
    sub->callback([this, command] { chosen = command; });
    return sub;
  }

  std::string place() const {
    const CLI::App *command = helped();
    return command == &app ? program : program + " " + command->get_name();
  }

  // The command whose help or usage is meant.
  const CLI::App *helped() const {
    auto parsed = app.get_subcommands();
    return parsed.empty() ? &app : parsed.front();
  }

  void addInfo() {
    auto *sub =
        add("info", "sizes, target, state bytes, fingerprint", "info --json",
            [this](Environment &e) { return infoCommand(e, info); });
    sub->add_flag("--json", info.json, "the manifest and totals as JSON");
  }

  void addGenerate() {
    auto *sub =
        add("generate", "continue a text",
            "generate -p \"Once upon a time\" -n 64 --temp 0.7 --seed 1",
            [this](Environment &e) { return generateCommand(e, generate); });
    addList(*sub, "-p,--prompt", generate.prompts,
            "text to continue; several make a batch");
    addList(*sub, "--prompt-file", generate.promptFiles,
            "file whose whole content is a prompt (- is standard input)")
        ->type_name("FILE");
    sub->add_option(
           "-n,--tokens", generate.maxTokens,
           "tokens to generate per sequence (default 128; -1: no limit)")
        ->check(integerIn(-1, kMany));
    addSampling(*sub);
    addList(*sub, "--stop", generate.stops,
            "end before this text; may be repeated");
    sub->add_option(
           "--eos", generate.eosToken,
           "end at this token id, -1: never (default: the model's eos; none "
           "with the byte tokenizer)")
        ->check(integerIn(-1, std::numeric_limits<int32_t>::max()));
    sub->add_option("--save-state", generate.saveState,
                    "write the state at the end, to go on from")
        ->type_name("FILE");
    sub->add_option("--load-state", generate.loadState,
                    "go on from a saved state")
        ->type_name("FILE");
    sub->add_flag("--echo", generate.echo,
                  "print the prompt before its continuation");
    sub->add_flag("--json", generate.json, "print one JSON object at the end");
  }

  void addSampling(CLI::App &sub) {
    auto &g = generate;
    sub.add_option("--temp", g.temperature,
                   "temperature; 0: always the likeliest token (default 0.8)")
        ->check(numberIn(0, 1e6, "a number from 0 to 1000000"));
    sub.add_option("--top-k", g.topK,
                   "keep the k likeliest; 0: all (default 40)")
        ->check(countFrom(0));
    sub.add_option(
           "--top-p", g.topP,
           "keep the likeliest that together reach p; 1: all (default 0.95)")
        ->check(numberIn(0, 1, "a number from 0 to 1"));
    sub.add_option(
           "--min-p", g.minP,
           "drop what is below p times the likeliest; 0: none (default 0.05)")
        ->check(numberIn(0, 1, "a number from 0 to 1"));
    sub.add_option("--repeat-penalty", g.repeatPenalty,
                   "divide the logits of recent tokens; 1: off (default 1)")
        ->check(numberIn(1e-6, 1e6, "a number above 0"));
    sub.add_option("--repeat-last-n", g.repeatLast,
                   "how many tokens are recent (default 64)")
        ->check(integerIn(0, 1 << 20));
    sub.add_option("--seed", g.seed,
                   "of the random draws; -1: a new one, shown (the default)")
        ->check(integerIn(-1, 9000000000000000000));
  }

  void addScore() {
    auto *sub = add("score", "log-probabilities and perplexity of texts",
                    "score book.txt --summary",
                    [this](Environment &e) { return scoreCommand(e, score); });
    sub->add_option("file", score.files,
                    "text in UTF-8 (- is standard input); of several, each by "
                    "itself")
        ->required()
        ->type_name("FILE");
    sub->add_flag("--summary", score.summary, "only the totals");
    sub->add_flag("--json", score.json, "as one JSON object");
  }

  void addRun() {
    auto *sub = add("run", "one forward pass, tensors in and out (safetensors)",
                    "run --input ids.safetensors --output out.safetensors",
                    [this](Environment &e) { return runCommand(e, run); });
    sub->add_option("--input", run.input,
                    "input_ids [B, N], or [T] with offsets [B + 1]; to go on "
                    "also state.<l> and position")
        ->required()
        ->type_name("FILE");
    sub->add_option("--output", run.output,
                    "logits, hidden.<l>, state.<l> and position")
        ->required()
        ->type_name("FILE");
    sub->add_option("--only", run.only,
                    "of logits, hidden, state: what to write")
        ->delimiter(',')
        ->type_name("PART")
        ->check(oneOf({"logits", "hidden", "state"}));
  }

  void addGrad() {
    auto *sub = add("grad", "loss and gradients, tensors in and out",
                    "grad --input ids.safetensors --output out.safetensors",
                    [this](Environment &e) { return gradCommand(e, grad); });
    sub->add_option("--input", grad.input,
                    "train_ids [B, N]: each id is the label of the one before")
        ->required()
        ->type_name("FILE");
    sub->add_option("--output", grad.output,
                    "train_loss [1], the mean, and grad.<parameter>")
        ->required()
        ->type_name("FILE");
  }

  void addBench() {
    auto *sub = add("bench", "measure prefill and decode",
                    "bench --prompt 512 --gen 128 --batch 4 --json",
                    [this](Environment &e) { return benchCommand(e, bench); });
    sub->add_option("--prompt", bench.prompt, "tokens to prefill (default 512)")
        ->check(countFrom(0));
    sub->add_option("--gen", bench.gen, "tokens to decode (default 128)")
        ->check(countFrom(0));
    sub->add_option("--batch", bench.batch, "sequences (default 1)")
        ->check(integerIn(1, 65536));
    sub->add_option(
           "--position", bench.position,
           "position at which decoding starts (default: after the prompt)")
        ->check(countFrom(0));
    sub->add_option("--repeat", bench.repeat, "measured runs (default 3)")
        ->check(integerIn(1, 10000));
    sub->add_option("--energy", bench.energySeconds,
                    "on a GPU, the joules of a token too, in loops of so many "
                    "seconds (2 is enough)")
        ->check(numberIn(0, 3600, "a number of seconds from 0 to 3600"))
        ->type_name("SECONDS");
    sub->add_flag("--kernels", bench.kernels,
                  "each kernel of a step alone, of a GPU program");
    sub->add_flag("--paced", bench.paced,
                  "a run, and a line of JSON, for each line of standard input");
    sub->add_flag("--json", bench.json, "as JSON");
  }

  void addTokenize() {
    auto *sub =
        add("tokenize", "token ids of a text", "tokenize \"Hello\"",
            [this](Environment &e) { return tokenizeCommand(e, tokenize); });
    addText(*sub, "text", tokenize.text, "text (default: the file)");
    sub->add_option("--file", tokenize.file,
                    "file with the text (default: standard input)")
        ->type_name("FILE");
    sub->add_flag("--pieces", tokenize.pieces, "one id a line, with its text");
    sub->add_flag("--json", tokenize.json, "as a JSON array");
  }

  void addDetokenize() {
    auto *sub = add(
        "detokenize", "text of token ids", "detokenize 72 101 108 108 111",
        [this](Environment &e) { return detokenizeCommand(e, detokenize); });
    CLI::callback_t store = [this](const CLI::results_t &results) {
      detokenize.ids = results;
      return true;
    };
    sub->add_option("ids", store, "token ids (default: from standard input)")
        ->type_name("ID")
        ->type_size(1)
        ->expected(1, CLI::detail::expected_max_vector_size)
        ->allow_extra_args();
  }

  std::string program, name; // as a shell takes it, and as it is
  CLI::App app;
  CommonOptions common;
  Command chosen;
  InfoOptions info;
  GenerateOptions generate;
  ScoreOptions score;
  RunOptions run;
  GradOptions grad;
  TrainCommandLine training;
  BenchOptions bench;
  TokenizeOptions tokenize;
  DetokenizeOptions detokenize;
};

int runCommandLine(int argc, const char *const *argv, const tnrt_module &module,
                   const std::string &program) {
  auto fail = [&](const std::string &message) {
    std::fprintf(stderr, "%s: %s\n", program.c_str(), message.c_str());
    return int(kBadInput);
  };
  if (module.abi_version != TNRT_ABI_VERSION)
    return fail("the generated code has ABI version " +
                std::to_string(module.abi_version) + ", this runtime has " +
                std::to_string(TNRT_ABI_VERSION) + ": compile the model again");
  auto manifest = Manifest::parse({module.manifest, module.manifest_size});
  if (!manifest)
    return fail(manifest.message());

  CommandLine line(program, *manifest);
  Environment environment{module, std::move(*manifest), {}, Output()};
  std::optional<int> parsed = line.parse(argc, argv, environment.out);
  int code = kOk;
  if (parsed) {
    code = *parsed;
  } else {
    environment.options = line.commonOptions();
    const Manifest::Target &target = environment.manifest.target;
    if (environment.options.device && !target.isGpu())
      return fail("--device " + std::to_string(*environment.options.device) +
                  ": this program is compiled for the CPU (" + target.march +
                  "); programs for GPUs are compiled with --target");
    // Every CPU kernel gives the same bits in any batch. A GPU's code chooses
    // kernels, which sum in different orders, by the rows of all sequences; a
    // run repeats its batches, and with them its kernels.
    if (environment.options.deterministic && target.isGpu() &&
        !environment.manifest.isTraining())
      return fail("--deterministic: this program computes on a GPU, where the "
                  "size of the batch chooses the kernels, and with them the "
                  "last bits; expected one compiled with --target=cpu");
    auto result = line.command()(environment);
    if (environment.out.closed())
      return kClosedPipe;
    if (!result)
      return fail(result.message());
    code = *result;
  }
  if (environment.out.closed())
    return kClosedPipe;
  if (Status status = environment.out.status(); !status)
    return fail(status.message());
  return code;
}

} // namespace

int runApp(int argc, const char *const *argv, const tnrt_module &module) {
  std::string program = argc > 0 ? argv[0] : "model";
  program = program.substr(program.find_last_of('/') + 1);
  handleSignals(program);
  try {
    return runCommandLine(argc, argv, module, program);
  } catch (const std::bad_alloc &) {
    std::fprintf(stderr, "%s: out of memory\n", program.c_str());
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s: internal error: %s\n", program.c_str(),
                 error.what());
  }
  return kInternal;
}

} // namespace tnrt
