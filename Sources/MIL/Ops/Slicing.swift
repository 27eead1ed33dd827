/// What `slice_by_index` and `slice_update` take, axis by axis: `length` elements from `begin` in steps of `stride`.
/// Ends count as in NumPy: negative ones from the end, those outside are cut to the axis.
public struct SliceBounds: Sendable, Hashable {
    public let begin: [Int]
    public let stride: [Int]
    public let length: [Int]
    /// The axes that the result loses; their length is 1.
    public let squeezed: [Bool]

    /// The shape of the slice, squeezed axes left out.
    public var result: [Int] { zip(length, squeezed).compactMap { $1 ? nil : $0 } }

    /// Holds the numbers of a slice against a shape. Empty masks are all false, an empty stride is all 1.
    public init(
        _ shape: [Int], begin: [Int], end: [Int], stride: [Int] = [], beginMask: [Bool] = [], endMask: [Bool] = [],
        squeezeMask: [Bool] = []
    ) throws {
        let rank = shape.count
        for (name, count) in [("begin", begin.count), ("end", end.count)] where count != rank {
            throw Failure(
                .invalidArgument, "The parameter '\(name)' has \(count) elements; x has rank \(rank) and needs as many."
            )
        }
        for (name, count) in [
            ("stride", stride.count), ("begin_mask", beginMask.count), ("end_mask", endMask.count),
            ("squeeze_mask", squeezeMask.count),
        ] where count != 0 && count != rank {
            throw Failure(
                .invalidArgument, "The parameter '\(name)' has \(count) elements; x has rank \(rank) and needs as many."
            )
        }
        var (begins, strides, lengths): ([Int], [Int], [Int]) = ([], [], [])
        for axis in 0..<rank {
            let size = shape[axis]
            let step = stride.isEmpty ? 1 : stride[axis]
            guard step != 0 else {
                throw Failure(.invalidArgument, "The stride of axis \(axis) is 0; it must be another number.")
            }
            let fromStart = !beginMask.isEmpty && beginMask[axis]
            let toEnd = !endMask.isEmpty && endMask[axis]
            if !squeezeMask.isEmpty && squeezeMask[axis] {
                let index = fromStart ? 0 : begin[axis] < 0 ? begin[axis] + size : begin[axis]
                guard (0..<size).contains(index) else {
                    throw Failure(
                        .outOfRange, "The index \(begin[axis]) lies outside axis \(axis), which has \(size) elements.")
                }
                begins.append(index)
                strides.append(1)
                lengths.append(1)
                continue
            }
            let (lowest, highest) = step > 0 ? (0, size) : (-1, size - 1)
            func place(_ index: Int) -> Int { min(max(index < 0 ? index + size : index, lowest), highest) }
            let first = fromStart ? (step > 0 ? 0 : highest) : place(begin[axis])
            let last = toEnd ? (step > 0 ? highest : -1) : place(end[axis])
            let distance = step > 0 ? last - first : first - last
            // A step longer than the axis takes one element, whatever its length.
            let pace = Int(min(step.magnitude, UInt(max(size, 1))))
            lengths.append(distance <= 0 ? 0 : (distance - 1) / pace + 1)
            begins.append(distance <= 0 ? 0 : first)
            strides.append(step > 0 ? pace : -pace)
        }
        self.begin = begins
        self.stride = strides
        length = lengths
        squeezed = squeezeMask.isEmpty ? Array(repeating: false, count: rank) : squeezeMask
    }

    /// The bounds of a `slice_by_index` or `slice_update` whose numbers are known, over the shape of `x`.
    public init(_ call: Call) throws {
        let shape = try call.type("x").shape
        try self.init(shape, begin: call.ints("begin"), end: call.ints("end"), masks: SliceMasks(call))
    }

    /// The bounds with `begin` and `end` as they arrived at run time.
    public init(_ shape: [Int], begin: [Int], end: [Int], masks: SliceMasks) throws {
        try self.init(
            shape, begin: begin, end: end, stride: masks.stride, beginMask: masks.begin, endMask: masks.end,
            squeezeMask: masks.squeeze)
    }

    /// The shape of the slice where it does not depend on `begin` and `end`, for those that are known only at run time.
    static func resultWhateverBounds(_ call: Call) throws -> [Int]? {
        let shape = try call.type("x").shape
        let masks = try SliceMasks(call)
        let zeros = Array(repeating: 0, count: shape.count)
        for axis in shape.indices {
            let squeezed = masks.squeeze.indices.contains(axis) && masks.squeeze[axis]
            let whole =
                masks.begin.indices.contains(axis) && masks.begin[axis] && masks.end.indices.contains(axis)
                && masks.end[axis]
            guard squeezed || whole else { return nil }
        }
        return try SliceBounds(shape, begin: zeros, end: zeros, masks: masks).result
    }
}

/// The parameters of a slice that are always known before the run; empty lists where they are left out.
public struct SliceMasks: Sendable, Hashable {
    public let stride: [Int]
    public let begin: [Bool]
    public let end: [Bool]
    public let squeeze: [Bool]

    public init(_ call: Call) throws {
        func mask(_ name: String) throws -> [Bool] { call.has(name) ? try call.bools(name) : [] }
        stride = call.has("stride") ? try call.ints("stride") : []
        (begin, end, squeeze) = (try mask("begin_mask"), try mask("end_mask"), try mask("squeeze_mask"))
    }
}
