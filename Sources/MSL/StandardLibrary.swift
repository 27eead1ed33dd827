/// The part of Metal's standard library that kernels use, and what runs kernels: C++ that stands in front of each source.
/// Its `types` are scalars and vectors, `maths` the functions, `running` the loops and fibers, `waiting` barriers and
/// what lanes of a simdgroup do together.
enum StandardLibrary {
    static let text = [types, maths, running, waiting].joined(separator: "\n")
}
