// Folders that appear, change their name and vanish as one.
#ifndef TNRT_TRAIN_FOLDERS_H
#define TNRT_TRAIN_FOLDERS_H

#include "tnrt/Result.h"

#include <cstdint>
#include <optional>
#include <string>

namespace tnrt {

bool isFolder(const std::string &path);
// One level; one that is there is fine.
Status makeFolder(const std::string &path);
// Flushes the folder's entries to the disk.
Status flushFolder(const std::string &path);
// Flushes `from`, renames it to `to`, which must not be there, and flushes the
// folder both are in.
Status renameFolder(const std::string &from, const std::string &to);
// Removes all below and the folder; what cannot be removed stays.
void removeTree(const std::string &path);
// Removes a folder so that it is never seen half empty: it is renamed first.
Status discardFolder(const std::string &path);

// "step-00000100" and back; nothing for another name.
std::string checkpointName(int64_t step);
std::optional<int64_t> parseCheckpointName(const std::string &name);

} // namespace tnrt

#endif // TNRT_TRAIN_FOLDERS_H
