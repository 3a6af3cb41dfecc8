#pragma once

#include <memory>

#include "worker/dataset/dataset.h"

namespace grapevine::dataset {

// Optical Recognition of Handwritten Digits: 1,797 grey images of 8 x 8 pixels in 17 levels, from
// E. Alpaydin and C. Kaynak (1998), UCI Machine Learning Repository, doi:10.24432/C50P49 (CC
// BY 4.0); the test part of the original. It is compiled in and needs no file.
//
// Held out are 360 samples, chosen by a permutation that never changes; 1,437 remain to train on.
std::unique_ptr<const Dataset> OpenDigits();

}  // namespace grapevine::dataset
