#pragma once

#include "tests/tidy/source_tree.h"

namespace grapevine::tidy {

// No file and no type is called after what could be anything: util, helper, common, misc, manager,
// handler, impl, info, context, data alone; nor does a type carry the I of an interface.
Findings CheckNames(const SourceTree& tree);

// A file's name says which file it is: each is there once, apart from the names that every folder
// has and the backends, which are twins by design.
Findings CheckUniqueFiles(const SourceTree& tree);

// Every class in a header says who may call it, in its comment: Immutable, Thread-compatible,
// Thread-safe, or Lives on thread X.
Findings CheckThreadSentences(const SourceTree& tree);

}  // namespace grapevine::tidy
