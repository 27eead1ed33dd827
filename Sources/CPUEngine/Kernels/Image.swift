import CKernels
import MIL

// Images: resizing along axes, and sampling at coordinates.

extension CPUKernels {
    static let image: [Kernel] = [
        resize("upsample_nearest_neighbor", isNearest: { _ in true }) { _ in nearestEdges },
        resize("resize_nearest_neighbor", isNearest: { _ in true }) { _ in nearestCentres },
        resize("upsample_bilinear") { (call: Call) throws -> Grid in
            let corners = try call.bool("align_corners")
            let centres = try call.has("half_pixel_centers") ? call.bool("half_pixel_centers") : !corners
            return grid(corners ? "STRICT_ALIGN_CORNERS" : centres ? "UNALIGN_CORNERS" : "DEFAULT")
        },
        resize("resize_bilinear") { try grid($0.text("sampling_mode")) },
        resize(
            "resize", isNearest: { try $0.text("interpolation_mode") == "NEAREST_NEIGHBOR" },
            axes: { try $0.int("resized_dims") }
        ) { (call: Call) throws -> Grid in
            let points = grid(try call.text("sampling_mode"))
            guard try call.text("interpolation_mode") == "NEAREST_NEIGHBOR" else { return points }
            if try call.text("sampling_mode") == "DEFAULT" { return nearestCentres }
            return { size, count in points(size, count).map { ($0 + 0.5).rounded(.down) } }
        },
        Kernel(name: "crop_resize") { call, lowerer, _ in try cropResize(call, lowerer) },
        Kernel(name: "resample") { call, lowerer, _ in
            let points = try lowerer.numbers("coordinates", call)
            let (rows, columns) = (points.shape[1], points.shape[2])
            try sample(call, lowerer, reads: [points]) { frame, batch, pixels, room in
                let source = frame.floats(points) + batch * rows * columns * 2
                for index in 0..<(rows * columns) {
                    room[2 * index] = pixels.x(source[2 * index])
                    room[2 * index + 1] = pixels.y(source[2 * index + 1])
                }
            }
        },
        Kernel(name: "affine") { call, lowerer, _ in
            let matrix = try lowerer.numbers("transform_matrix", call)
            let (rows, columns) = (try call.int("output_height"), try call.int("output_width"))
            let (mode, corners) = (try call.text("coordinates_mode").lowercased(), try call.bool("align_corners"))
            let xs = (0..<columns).map { normalized($0, of: columns, mode, corners) }
            let ys = (0..<rows).map { normalized($0, of: rows, mode, corners) }
            try sample(call, lowerer, reads: [matrix]) { frame, batch, pixels, room in
                let m = frame.floats(matrix) + (matrix.shape[0] == 1 ? 0 : batch * 6)
                for row in 0..<rows {
                    for column in 0..<columns {
                        let (x, y, at) = (xs[column], ys[row], 2 * (row * columns + column))
                        room[at] = pixels.x(m[0] * x + m[1] * y + m[2])
                        room[at + 1] = pixels.y(m[3] * x + m[4] * y + m[5])
                    }
                }
            }
        },
    ]

    // MARK: Resizing

    /// Where the positions 0 ..< count of a resized axis lie on the axis as it was.
    private typealias Grid = @Sendable (_ size: Int, _ count: Int) -> [Double]

    /// The pixel that holds the first edge of each new one.
    private static let nearestEdges: Grid = { size, count in (0..<count).map { Double($0 * size / count) } }

    /// The pixel that holds the centre of each new one.
    private static let nearestCentres: Grid = { size, count in
        (0..<count).map { Double((2 * $0 + 1) * size / (2 * count)) }
    }

    private static func grid(_ mode: String) -> Grid { { gridPoints(mode, from: 0, to: Double($0 - 1), count: $1) } }

    /// The points of a sampling mode over an interval, whose ends are pixels.
    private static func gridPoints(_ mode: String, from start: Double, to end: Double, count: Int) -> [Double] {
        let (length, pixels) = (end - start, end - start + 1)
        return (0..<count).map { index in
            let (i, n) = (Double(index), Double(count))
            let point =
                switch mode {
                case "STRICT_ALIGN_CORNERS": count == 1 ? start : start + i * length / (n - 1)
                case "ALIGN_CORNERS": count == 1 ? (start + end) / 2 : start + i * length / (n - 1)
                case "UNALIGN_CORNERS": start + (i + 0.5) * pixels / n - 0.5
                case "OFFSET_CORNERS": start + (i + 0.5) * max(1, length) / n
                default: start + i * pixels / n
                }
            return min(max(point, min(start, end)), max(start, end))
        }
    }

    /// An op that resizes its last axes, two where it does not say.
    private static func resize(
        _ name: String, isNearest: @escaping @Sendable (Call) throws -> Bool = { _ in false },
        axes: @escaping @Sendable (Call) throws -> Int = { _ in 2 }, grid: @escaping @Sendable (Call) throws -> Grid
    ) -> Kernel {
        Kernel(name: name) { call, lowerer, _ in
            let id = call.operation.outputs[0]
            let type = try lowerer.function.tensorType(id)
            let (nearest, grid) = (try isNearest(call), try grid(call))
            var x = try lowerer.view(call.id("x"))
            guard x.count > 0 || type.count == 0 else {
                throw Failure(
                    .invalidArgument, "x of shape \(x.shape) has no elements to make a shape \(type.shape) of.")
            }
            if !nearest { x = try lowerer.converted(x, to: .float32, for: call) }
            let resized = (x.rank - (try axes(call)))..<x.rank
            // Two axes at a time, from the last; channels that lie innermost are the elements of a pixel.
            var axis = x.rank - 1
            while axis >= resized.lowerBound, type.count > 0 {
                x = resizePair(x, axis, type.shape, nearest, call, lowerer) { resized.contains($0) ? grid : nil }
                axis -= 2
            }
            lowerer.define(
                id,
                try lowerer.converted(
                    type.count > 0 ? x : lowerer.allocate(type.shape, x.dtype), to: type.dtype, for: call))
        }
    }

    /// x with `axis` and the one before it resized; an axis without a grid stays.
    private static func resizePair(
        _ source: View, _ axis: Int, _ target: [Int], _ nearest: Bool, _ call: Call, _ lowerer: Lowerer,
        grid: (Int) -> Grid?
    ) -> View {
        let channelsLast = View.channelsLast(rank: source.rank)
        let isLast = source.rank == 4 && axis == 3 && source.isDense(order: channelsLast) && !source.isDense()
        let x = isLast ? source : lowerer.dense(source, for: call)
        var shape = x.shape
        func points(_ axis: Int) -> (size: Int, points: [Double]) {
            guard axis >= 0 else { return (1, [0]) }
            let size = x.shape[axis]
            guard let grid = grid(axis) else { return (size, (0..<size).map(Double.init)) }
            shape[axis] = target[axis]
            return (size, grid(size, target[axis]))
        }
        let (columns, rows) = (points(axis), points(axis - 1))
        let output = lowerer.allocate(shape, x.dtype, order: isLast ? channelsLast : nil)
        let batch = Int64(isLast ? shape[0] : shape[..<max(axis - 1, 0)].reduce(1, *))
        let channels = Int64(isLast ? shape[1] : shape[(axis + 1)...].reduce(1, *))
        let (from, to) = (
            (Int64(rows.size), Int64(columns.size)), (Int64(rows.points.count), Int64(columns.points.count))
        )
        if nearest {
            let (rows, columns) = (rows.points.map { Int32($0) }, columns.points.map { Int32($0) })
            let bytes = channels * Int64(x.dtype.size)
            lowerer.emit(call, kernel: "resize", reason: "pixels copied", reads: [x], writes: [output]) { frame in
                mk_resize_nearest(batch, from.0, from.1, to.0, to.1, bytes, rows, columns, frame[x], frame[output])
            }
        } else {
            let (vertical, horizontal) = (Taps(rows.points, of: rows.size), Taps(columns.points, of: columns.size))
            lowerer.emit(call, kernel: "resize", reason: "four pixels mixed", reads: [x], writes: [output]) { frame in
                vertical.withAxis { height in
                    horizontal.withAxis { width in
                        mk_resize_bilinear(batch, channels, height, width, frame.floats(x), frame.floats(output))
                    }
                }
            }
        }
        return output
    }

    // MARK: Sampling

    /// What ops that sample share: for each image, `place` writes x and y of every new pixel, `body` is the kernel's.
    private static func sample(
        _ call: Call, _ lowerer: Lowerer, reads: [View],
        place: @escaping @Sendable (Frame, _ batch: Int, Pixels, _ room: UnsafeMutablePointer<Float>) -> Void
    ) throws {
        let x = try lowerer.converted(lowerer.view(call.id("x")), to: .float32, for: call)
        let output = try lowerer.allocate(for: call.operation.outputs[0], fixed: 2)
        lowerer.define(call.operation.outputs[0], output)
        let nearest = try call.text("sampling_mode").lowercased() == "nearest"
        let padding: mk_sample_padding =
            switch try call.text("padding_mode").lowercased() {
            case "border": MK_SAMPLE_BORDER
            case "reflection": MK_SAMPLE_REFLECTION
            case "symmetric": MK_SAMPLE_SYMMETRIC
            default: MK_SAMPLE_CONSTANT
            }
        let value = try call.float("padding_value")
        let (mode, corners) = (try call.text("coordinates_mode").lowercased(), try call.bool("align_corners"))
        let pixels = Pixels(width: x.shape[3], height: x.shape[2], mode, corners)
        let count = output.shape[2] * output.shape[3]
        guard output.count > 0 else { return }
        lowerer.scratch(count * 2 * MemoryLayout<Float>.stride)
        lowerer.emit(
            call, kernel: "sample", reason: nearest ? "the nearest pixel" : "four pixels mixed", reads: [x] + reads,
            writes: [output]
        ) { frame in
            let room = frame.scratch.assumingMemoryBound(to: Float.self)
            for batch in 0..<x.shape[0] {
                place(frame, batch, pixels, room)
                frame.sample(x, batch, nearest, padding, value, count, room, output, at: batch)
            }
        }
    }

    private static func cropResize(_ call: Call, _ lowerer: Lowerer) throws {
        let x = try lowerer.converted(lowerer.view(call.id("x")), to: .float32, for: call)
        let boxes = try lowerer.numbers("boxes", call)
        let indices = try call.has("box_indices") ? lowerer.indices(call, "box_indices") : nil
        let output = try lowerer.allocate(for: call.operation.outputs[0], fixed: 2)
        lowerer.define(call.operation.outputs[0], output)
        let (rows, columns) = (output.shape[2], output.shape[3])
        let (mode, boxMode) = (try call.text("sampling_mode"), try call.text("box_coordinate_mode"))
        let (scale, value) = (Double(try call.float("spatial_scale")), try call.float("pad_value"))
        let isNormalized = try call.bool("normalized_coordinates")
        let (isCentred, isWidthFirst) = (boxMode.hasPrefix("CENTER"), boxMode.hasSuffix("WIDTH_FIRST"))
        let sizes = isNormalized ? (Double(x.shape[2] - 1), Double(x.shape[3] - 1)) : (1, 1)
        guard output.count > 0 else { return }
        let place = call.place
        lowerer.scratch(rows * columns * 2 * MemoryLayout<Float>.stride)
        lowerer.emit(
            call, kernel: "sample", reason: "four pixels mixed", reads: [x, boxes] + (indices.map { [$0] } ?? []),
            writes: [output]
        ) { frame in
            let room = frame.scratch.assumingMemoryBound(to: Float.self)
            let images = indices.map(frame.integers) ?? Array(0..<boxes.shape[0])
            for (index, image) in images.enumerated() {
                guard (0..<x.shape[0]).contains(image) else {
                    throw Failure(
                        .outOfRange, "The box_indices hold \(image); there are \(x.shape[0]) images."
                    ).at(operation: place)
                }
                let box = (0..<4).map { Double(frame.floats(boxes)[4 * index + $0]) * scale }
                func points(_ first: Int, _ size: Double, _ count: Int) -> [Float] {
                    let (a, b) = (box[first] * size, box[first + 2] * size)
                    let (start, end) = isCentred ? (a - b / 2, a + b / 2) : (a, b)
                    return gridPoints(mode, from: start, to: end, count: count).map { Float($0) }
                }
                let ys = points(isWidthFirst ? 1 : 0, sizes.0, rows)
                let xs = points(isWidthFirst ? 0 : 1, sizes.1, columns)
                for row in 0..<rows {
                    for column in 0..<columns {
                        room[2 * (row * columns + column)] = xs[column]
                        room[2 * (row * columns + column) + 1] = ys[row]
                    }
                }
                frame.sample(x, image, false, MK_SAMPLE_CUT, value, rows * columns, room, output, at: index)
            }
        }
    }

    /// The coordinate that a position has among `count`.
    private static func normalized(_ position: Int, of count: Int, _ mode: String, _ corners: Bool) -> Float {
        if mode == "unnormalized" { return Float(position) }
        let (position, count) = (Double(position), Double(count))
        let part = !corners ? (position + 0.5) / count : count == 1 ? 0.5 : position / (count - 1)
        return Float(mode == "normalized_zero_to_one" ? part : 2 * part - 1)
    }
}

/// Coordinates as positions of pixels.
private struct Pixels: Sendable {
    private let horizontal: (factor: Float, shift: Float)
    private let vertical: (factor: Float, shift: Float)

    init(width: Int, height: Int, _ mode: String, _ corners: Bool) {
        func map(_ size: Int) -> (Float, Float) {
            if mode == "unnormalized" { return (1, 0) }
            let (length, first): (Float, Float) = corners ? (Float(size - 1), 0) : (Float(size), -0.5)
            return mode == "normalized_zero_to_one" ? (length, first) : (length / 2, length / 2 + first)
        }
        (horizontal, vertical) = (map(width), map(height))
    }

    func x(_ coordinate: Float) -> Float { coordinate * horizontal.factor + horizontal.shift }
    func y(_ coordinate: Float) -> Float { coordinate * vertical.factor + vertical.shift }
}

/// The two positions that each point of an axis lies between, and the weight of the second.
private struct Taps: Sendable {
    private let size: Int
    private let low: [Int32]
    private let high: [Int32]
    private let weight: [Float]

    init(_ points: [Double], of size: Int) {
        self.size = size
        low = points.map { Int32($0) }
        high = low.map { min($0 + 1, Int32(size - 1)) }
        weight = zip(points, low).map { Float($0 - Double($1)) }
    }

    func withAxis(_ body: (UnsafePointer<mk_resize_axis>) -> Void) {
        low.withUnsafeBufferPointer { low in
            high.withUnsafeBufferPointer { high in
                weight.withUnsafeBufferPointer { weight in
                    var axis = mk_resize_axis(
                        in: Int64(size), out: Int64(low.count), low: low.baseAddress, high: high.baseAddress,
                        weight: weight.baseAddress)
                    body(&axis)
                }
            }
        }
    }
}

extension Frame {
    /// New pixels of the result's image `target` from the image `batch` of x, both [batch, channels, height, width].
    fileprivate func sample(
        _ x: View, _ batch: Int, _ nearest: Bool, _ padding: mk_sample_padding, _ value: Float, _ count: Int,
        _ coordinates: UnsafePointer<Float>, _ output: View, at target: Int
    ) {
        var image = mk_sample_image(
            channels: Int64(x.shape[1]), height: Int64(x.shape[2]), width: Int64(x.shape[3]),
            channel_stride: Int64(x.strides[1]),
            row_stride: Int64(x.strides[2]), column_stride: Int64(x.strides[3]),
            pixels: UnsafePointer(floats(x) + batch * x.strides[0]))
        mk_sample(
            nearest ? 1 : 0, padding, value, &image, Int64(count), coordinates,
            floats(output) + target * output.strides[0],
            Int64(output.strides[3]), Int64(output.strides[1]))
    }
}
