// Entry point of every executable that tnllmc emits: the generated code's one
// exported symbol meets the command line.
#include "App.h"

#include "tnrt/abi.h"

int main(int argc, char **argv) { return tnrt::runApp(argc, argv, tnrt_model); }
