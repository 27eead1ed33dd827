import MIL

/// How a value lies in memory: a part of a buffer with a stride for each dimension. Moving data about is mostly a change
/// of view; bytes are copied only where a kernel wants another layout.
struct View: Sendable {
    let buffer: Int
    let dtype: DataType
    /// In elements from the start of the buffer.
    var offset: Int
    var shape: [Int]
    /// In elements; 0 repeats an element, negative strides run backwards.
    var strides: [Int]

    var count: Int { shape.reduce(1, *) }
    var rank: Int { shape.count }
    /// Bytes of the elements it shows, those it repeats counted once.
    var touchedBytes: Int { zip(shape, strides).reduce(dtype.size) { $1.1 == 0 ? $0 : $0 &* $1.0 } }
    var byteOffset: Int { offset * dtype.size }

    /// Where the first element lies: all that a step needs to know while it runs.
    struct Address: Sendable {
        let buffer: Int
        let byteOffset: Int
    }

    var address: Address { Address(buffer: buffer, byteOffset: byteOffset) }

    /// Strides of a dense tensor whose dimensions lie in `order`, outermost first; row-major without one.
    static func strides(of shape: [Int], order: [Int]? = nil) -> [Int] {
        var strides = [Int](repeating: 0, count: shape.count)
        var step = 1
        for dimension in (order ?? Array(shape.indices)).reversed() {
            strides[dimension] = step
            step *= max(shape[dimension], 1)
        }
        return strides
    }

    /// The order N, spatial…, C.
    static func channelsLast(rank: Int) -> [Int] { rank < 3 ? Array(0..<rank) : [0] + Array(2..<rank) + [1] }

    /// Whether the elements lie densely with the dimensions in `order`; dimensions of size 1 lie anywhere.
    func isDense(order: [Int]? = nil) -> Bool {
        var step = 1
        for dimension in (order ?? Array(shape.indices)).reversed() where shape[dimension] != 1 {
            guard strides[dimension] == step else { return false }
            step *= shape[dimension]
        }
        return true
    }

    /// The view with the strides that dimensions of size 1 have in a dense tensor of this order. Nothing is read by them,
    /// so a view may hold any number there; a library that looks at them wants a plausible one.
    func regular(order: [Int]? = nil) -> View {
        var (view, step) = (self, 1)
        for dimension in (order ?? Array(shape.indices)).reversed() {
            if shape[dimension] == 1 { view.strides[dimension] = step }
            step = max(step, abs(view.strides[dimension]) * shape[dimension])
        }
        return view
    }

    /// Dimensions from the outermost to the innermost in memory; ties keep their place.
    var memoryOrder: [Int] {
        let steps = regular().strides.map(\.magnitude)
        return shape.indices.sorted { (steps[$1], $0) < (steps[$0], $1) }
    }

    /// Dimensions longer than 1, from the innermost in memory outward.
    private var walked: [Int] { memoryOrder.reversed().filter { shape[$0] != 1 } }

    /// Whether all strides run forward, and each one passes over everything that the dimensions within it cover.
    var isNested: Bool {
        var least = 1
        for dimension in walked {
            guard strides[dimension] >= least else { return false }
            least = strides[dimension] * shape[dimension]
        }
        return true
    }

    /// Whether an element may be shown more than once, as in windows that overlap.
    var repeatsElements: Bool {
        var reach = 0
        for dimension in walked {
            let stride = abs(strides[dimension])
            guard stride > reach else { return true }
            reach += stride * (shape[dimension] - 1)
        }
        return false
    }

    func permuted(_ permutation: [Int]) -> View {
        var view = self
        view.shape = permutation.map { shape[$0] }
        view.strides = permutation.map { strides[$0] }
        return view
    }

    /// The same elements in row-major order of meaning under another shape, or nil where that needs a copy.
    func reshaped(_ target: [Int]) -> View? {
        guard target.reduce(1, *) == count else { return nil }
        if count == 0 {
            return View(buffer: buffer, dtype: dtype, offset: offset, shape: target, strides: View.strides(of: target))
        }
        let kept = shape.indices.filter { shape[$0] != 1 }
        var (sizes, steps) = (kept.map { shape[$0] }, kept.map { strides[$0] })
        // Neighbours that continue each other become one dimension.
        var index = 0
        while index + 1 < sizes.count {
            if steps[index] == steps[index + 1] * sizes[index + 1] {
                sizes[index] *= sizes[index + 1]
                steps[index] = steps[index + 1]
                sizes.remove(at: index + 1)
                steps.remove(at: index + 1)
            } else {
                index += 1
            }
        }
        var result = [Int](repeating: 0, count: target.count)
        var (piece, left) = (sizes.count - 1, sizes.last ?? 1)
        var step = steps.last ?? 1
        for dimension in target.indices.reversed() {
            let size = target[dimension]
            if size == 1 {
                result[dimension] = step
                continue
            }
            if left == 1 {
                piece -= 1
                guard piece >= 0 else { return nil }
                (left, step) = (sizes[piece], steps[piece])
            }
            guard left % size == 0 else { return nil }
            result[dimension] = step
            step *= size
            left /= size
        }
        return View(buffer: buffer, dtype: dtype, offset: offset, shape: target, strides: result)
    }

    /// The view stretched to a shape it broadcasts to.
    func broadcast(to target: [Int]) -> View {
        var view = self
        let shift = target.count - shape.count
        view.shape = target
        view.strides = target.indices.map {
            $0 < shift || (shape[$0 - shift] == 1 && target[$0] != 1) ? 0 : strides[$0 - shift]
        }
        return view
    }

    /// A part: from `start`, every `step` elements, `sizes` of them, for each dimension.
    func part(start: [Int], step: [Int], sizes: [Int]) -> View {
        var view = self
        for dimension in shape.indices where sizes[dimension] > 0 {
            view.offset += start[dimension] * strides[dimension]
        }
        view.shape = sizes
        view.strides = shape.indices.map { strides[$0] * step[$0] }
        return view
    }

    /// A part along one axis.
    func part(axis: Int, start: Int, size: Int) -> View {
        var view = self
        view.offset += start * strides[axis]
        view.shape[axis] = size
        return view
    }

    func inserting(_ axes: [Int], rank: Int) -> View {
        var (view, next) = (self, 0)
        view.shape = []
        view.strides = []
        for dimension in 0..<rank {
            if axes.contains(dimension) {
                view.shape.append(1)
                view.strides.append(0)
            } else {
                view.shape.append(shape[next])
                view.strides.append(strides[next])
                next += 1
            }
        }
        return view
    }
}
