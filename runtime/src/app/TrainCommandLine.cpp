// Options of train, tokenize, export, import and plot.
#include "TrainCommandLine.h"

#include "Validators.h"

#include <limits>

namespace tnrt {
namespace {

// A number that goes to the run's config under the option's own name.
CLI::Option *addNumber(CLI::App &sub, ConfigJson &given,
                       const std::string &name, const std::string &help) {
  return sub.add_option_function<double>(
      "--" + name, [&given, name](const double &v) { given[name] = v; }, help);
}

CLI::Option *addInteger(CLI::App &sub, ConfigJson &given,
                        const std::string &name, const std::string &help) {
  return sub.add_option_function<int64_t>(
      "--" + name, [&given, name](const int64_t &v) { given[name] = v; }, help);
}

CLI::Option *addChoice(CLI::App &sub, ConfigJson &given,
                       const std::string &name,
                       const std::vector<std::string> &choices,
                       const std::string &help) {
  return sub
      .add_option_function<std::string>(
          "--" + name,
          [&given, name](const std::string &v) { given[name] = v; }, help)
      ->type_name("NAME")
      ->check(oneOf(choices));
}

CLI::Validator atLeastZero() {
  return numberIn(0, std::numeric_limits<double>::max(),
                  "a number of at least 0");
}

} // namespace

void TrainCommandLine::addTo(const Add &add) {
  addTrain(add);
  addTokenize(add);
  addExport(add);
  addPlot(add);
}

void TrainCommandLine::addTrain(const Add &add) {
  CLI::App &sub = *add(
      "train", "train the model on shards of tokens",
      "train --data 'shards/*.bin' --out run --batch-tokens 8192 --seq 512 "
      "--steps 1000",
      [this](Environment &e) { return trainCommand(e, train); });
  addList(sub, "--data", train.data,
          "shards to train on: files, folders or patterns")
      ->type_name("SHARDS")
      ->allow_extra_args();
  addList(sub, "--val", train.val, "shards to evaluate on")
      ->type_name("SHARDS")
      ->allow_extra_args();
  sub.add_option("--out", train.run, "folder of the run")
      ->required()
      ->type_name("RUN");
  addInteger(sub, train.given, "batch-tokens", "tokens of a step")
      ->check(countFrom(1));
  addInteger(sub, train.given, "seq", "tokens of a sequence")
      ->check(countFrom(1));
  addInteger(sub, train.given, "steps", "steps to train")->check(countFrom(1));
  addInteger(sub, train.given, "accumulate",
             "parts that a step is computed in (default: as few as fit)")
      ->check(countFrom(1));
  addInteger(sub, train.given, "seed", "of the order of the data (default 1)")
      ->check(integerIn(0, std::numeric_limits<int64_t>::max()));
  addOptimizer(sub);
  addSafety(sub);
  addPace(sub);
}

void TrainCommandLine::addOptimizer(CLI::App &sub) {
  ConfigJson &given = train.given;
  addNumber(sub, given, "lr", "peak learning rate (default 3e-4)")
      ->check(atLeastZero());
  addNumber(sub, given, "min-lr",
            "learning rate at the end (default: a tenth of --lr)")
      ->check(atLeastZero());
  addInteger(sub, given, "warmup",
             "steps of linear warmup (default: a fiftieth of --steps)")
      ->check(countFrom(0));
  addChoice(sub, given, "schedule", {"cosine", "linear", "wsd", "constant"},
            "of the learning rate: cosine (default), linear, wsd or constant");
  addInteger(sub, given, "decay-steps",
             "of wsd: steps of the decay at the end (default: a fifth)")
      ->check(countFrom(0));
  addNumber(sub, given, "weight-decay", "of matrices (default 0.1)")
      ->check(atLeastZero());
  sub.add_option_function<std::vector<double>>(
         "--betas",
         [&given](const std::vector<double> &betas) {
           given["beta1"] = betas[0];
           given["beta2"] = betas[1];
         },
         "of AdamW (default 0.9,0.95)")
      ->expected(2)
      ->delimiter(',')
      ->type_name("B1,B2")
      ->check(numberIn(0, 0.999999999, "two numbers from 0 to below 1"));
  // Below it f32 would round it to 0, and a gradient of 0 make 0 / 0.
  addNumber(sub, given, "eps", "of AdamW (default 1e-8)")
      ->check(numberIn(kLeastEpsilon, std::numeric_limits<double>::max(),
                       "a number above 0 (1.2e-38 at least)"));
  addNumber(sub, given, "clip",
            "largest norm of the gradients; 0: any (default 1)")
      ->check(atLeastZero());
}

void TrainCommandLine::addSafety(CLI::App &sub) {
  ConfigJson &given = train.given;
  addChoice(
      sub, given, "on-spike", {"flag", "skip", "rollback"},
      "what a spike of the loss does: flag (default), skip the update, or "
      "rollback to the last checkpoint and skip the batch");
  addNumber(sub, given, "spike-z",
            "z-score above which a loss is a spike (default 6)")
      ->check(atLeastZero());
  addInteger(sub, given, "max-non-finite",
             "steps in a row without a finite loss before it stops (default 5)")
      ->check(countFrom(1));
  sub.add_flag("--resume", train.resume,
               "go on from the last checkpoint of --out; options that are not "
               "given are those of before");
  sub.add_flag("--change", train.change,
               "with --resume: go on though options or shards are others");
  sub.add_flag("--verify", train.verify,
               "read all shards first: checksums and token ids");
}

void TrainCommandLine::addPace(CLI::App &sub) {
  ConfigJson &given = train.given;
  addInteger(sub, given, "save-every",
             "steps between checkpoints; 0: at the end alone (default: a tenth "
             "of --steps)")
      ->check(countFrom(0));
  addInteger(sub, given, "keep", "checkpoints that stay (default 3)")
      ->check(countFrom(1));
  addInteger(
      sub, given, "eval-every",
      "steps between evaluations on --val; 0: at the end alone (default: "
      "a tenth of --steps)")
      ->check(countFrom(0));
  addInteger(sub, given, "eval-tokens",
             "tokens to evaluate on; 0: all (default 1048576)")
      ->check(countFrom(0));
  sub.add_option("--log-every", train.logEvery,
                 "steps between lines; metrics hold all (default 1)")
      ->check(countFrom(1));
  sub.add_option(
         "--peak-tflops", train.peakTflops,
         "of this machine, for the MFU (default: measured on a CPU, of the "
         "data sheet for a GPU)")
      ->check(atLeastZero());
  sub.add_flag("--json", train.json, "lines of JSON instead of text");
}

void TrainCommandLine::addTokenize(const Add &add) {
  CLI::App &sub =
      *add("tokenize", "make a shard of tokens from texts",
           "tokenize book.txt -o shards/book.bin",
           [this](Environment &e) { return shardCommand(e, shard); });
  CLI::callback_t store = [this](const CLI::results_t &results) {
    shard.texts = results;
    return true;
  };
  sub.add_option("texts", store, "texts in UTF-8 (- is standard input)")
      ->required()
      ->type_name("TEXT")
      ->type_size(1)
      ->expected(1, CLI::detail::expected_max_vector_size)
      ->allow_extra_args();
  sub.add_option("-o,--output", shard.output, "the shard")
      ->required()
      ->type_name("FILE");
  sub.add_option_function<std::string>(
         "--documents",
         [this](const std::string &name) {
           shard.documents = name == "file"    ? ShardOptions::Documents::File
                             : name == "lines" ? ShardOptions::Documents::Lines
                                               : ShardOptions::Documents::Jsonl;
         },
         "what a document is: a file (default), each of its lines, or the text "
         "of each line of jsonl")
      ->type_name("NAME")
      ->check(oneOf({"file", "lines", "jsonl"}));
  sub.add_option("--field", shard.field,
                 "of jsonl: the key of the text (default text)")
      ->type_name("KEY");
  sub.add_option("--eos", shard.eos,
                 "token after each document, -1: none (default: the model's "
                 "eos; none with the byte tokenizer)")
      ->check(integerIn(-1, std::numeric_limits<int32_t>::max()));
  sub.add_flag("--json", shard.json, "the totals as JSON");
}

void TrainCommandLine::addExport(const Add &add) {
  CLI::App &out =
      *add("export", "a checkpoint as a Hugging Face folder",
           "export run -o folder --dtype bf16",
           [this](Environment &e) { return exportCommand(e, exportOptions); });
  out.add_option("run", exportOptions.run,
                 "a run (its last checkpoint) or a checkpoint")
      ->required()
      ->type_name("RUN");
  out.add_option("-o,--output", exportOptions.output, "a new folder")
      ->required()
      ->type_name("FOLDER");
  out.add_option("--dtype", exportOptions.dtype,
                 "of the weights: f32 (default), bf16 or f16")
      ->type_name("NAME")
      ->check(oneOf({"f32", "bf16", "f16"}));
  CLI::App &in = *add("import", "start a run from the weights of a checkpoint",
                      "import folder -o run", [this](Environment &e) {
                        return importCommand(e, importOptions);
                      });
  in.add_option("checkpoint", importOptions.checkpoint,
                "a Hugging Face folder or a safetensors file")
      ->required()
      ->type_name("PATH");
  in.add_option("-o,--output", importOptions.run, "folder of the new run")
      ->required()
      ->type_name("RUN");
}

void TrainCommandLine::addPlot(const Add &add) {
  CLI::App &sub = *add("plot", "a run's curves as an HTML page or a picture",
                       "plot run -o run.svg",
                       [this](Environment &e) { return plotCommand(e, plot); });
  sub.add_option("run", plot.run, "folder of the run")
      ->required()
      ->type_name("RUN");
  sub.add_option("-o,--output", plot.output,
                 "*.svg or *.html (default RUN/report.html)")
      ->type_name("FILE");
}

} // namespace tnrt
