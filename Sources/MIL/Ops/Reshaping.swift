/// The shape that `reshape` gives: 0 keeps the dimension of x counted from the right, one -1 takes what is left.
public func reshaped(_ shape: [Int], to wanted: [Int]) throws -> [Int] {
    let shift = shape.count - wanted.count
    var result = try wanted.enumerated().map { index, size in
        guard size >= -1 else {
            throw Failure(.invalidArgument, "The new shape \(wanted) holds \(size); each must be a size, 0 or -1.")
        }
        guard size == 0 else { return size }
        return shape.indices.contains(index + shift) ? shape[index + shift] : 1
    }
    let open = result.indices.filter { result[$0] == -1 }
    let count = try shape.product()
    let mismatch = Failure(.invalidArgument, "\(count) elements of shape \(shape) do not fill the new shape \(wanted).")
    guard open.count <= 1 else {
        throw Failure(.invalidArgument, "The new shape \(wanted) has several -1; it may have one.")
    }
    if let index = open.first {
        result[index] = 1
        let known = try result.product()
        guard known > 0, count % known == 0 else { throw mismatch }
        result[index] = count / known
    }
    guard try result.product() == count else { throw mismatch }
    return result
}

/// The shape of tensors joined along an axis; tensors of rank 0 join to a list.
public func concatenated(_ shapes: [[Int]], axis: Int, interleave: Bool = false) throws -> [Int] {
    guard var result = shapes.first else {
        throw Failure(.invalidArgument, "There are no tensors; at least one is needed.")
    }
    for shape in shapes where shape.count != result.count {
        throw Failure(.invalidArgument, "Shapes \(result) and \(shape) differ in rank; all must have one rank.")
    }
    if result.isEmpty { return [shapes.count] }
    let axis = try Call.axis(axis, rank: result.count)
    result[axis] = 0
    for shape in shapes {
        guard let first = shapes.first,
            shape.indices.allSatisfy({ shape[$0] == first[$0] || ($0 == axis && !interleave) })
        else {
            throw Failure(
                .invalidArgument,
                "Shapes \(shapes[0]) and \(shape) do not join along axis \(axis); they must be equal"
                    + (interleave ? " where they interleave." : " along every other axis."))
        }
        let (sum, overflow) = result[axis].addingReportingOverflow(shape[axis])
        guard !overflow else { throw Failure(.outOfMemory, "The joined axis is larger than any tensor.") }
        result[axis] = sum
    }
    return result
}

/// The lengths of the parts of a `split`, and its axis counted from the front.
public struct SplitSizes: Sendable, Hashable {
    public let axis: Int
    public let sizes: [Int]

    public init(_ call: Call) throws {
        let shape = try call.type("x").shape
        axis = try call.axis(rank: shape.count)
        let size = shape[axis]
        let parts = call.has("num_splits") ? try call.int("num_splits", in: 1...Call.longestList) : nil
        guard call.has("split_sizes") else {
            guard let parts else { throw Failure(.invalidArgument, "Either num_splits or split_sizes must be given.") }
            guard size % parts == 0 else {
                throw Failure(
                    .invalidArgument, "Axis \(axis) has \(size) elements; \(parts) parts must be equally long.")
            }
            sizes = Array(repeating: size / parts, count: parts)
            return
        }
        sizes = try call.ints("split_sizes", count: parts, in: Call.sizes)
        guard !sizes.isEmpty, sizes.reduce(0, +) == size else {
            throw Failure(
                .invalidArgument, "The split_sizes \(sizes) must add up to the \(size) elements of axis \(axis).")
        }
    }
}

/// Elements that `pad` adds before and after each axis of x; 0 for the axes in front that it does not name.
public struct Padding: Sendable, Hashable {
    public let before: [Int]
    public let after: [Int]

    public init(_ call: Call) throws {
        let shape = try call.type("x").shape
        let pad = try call.ints("pad", in: Call.sizes)
        guard pad.count % 2 == 0, pad.count <= 2 * shape.count else {
            throw Failure(
                .invalidArgument,
                "The parameter 'pad' has \(pad.count) elements; it must have two for each of at most \(shape.count) axes."
            )
        }
        let untouched = Array(repeating: 0, count: shape.count - pad.count / 2)
        before = untouched + stride(from: 0, to: pad.count, by: 2).map { pad[$0] }
        after = untouched + stride(from: 1, to: pad.count, by: 2).map { pad[$0] }
    }

    /// The shape with its pads.
    func result(_ shape: [Int]) -> [Int] { shape.indices.map { before[$0] + shape[$0] + after[$0] } }
}
