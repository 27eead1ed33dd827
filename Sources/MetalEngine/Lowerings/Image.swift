#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Images. MPSGraph resizes two axes in three of MIL's five ways; the others mix two pixels along each axis in turn.

    extension MetalLowerings {
        static let image: [Lowering] = [
            resizing("upsample_nearest_neighbor") { _ in
                .nearest { size, count in (0..<count).map { $0 * size / count } }
            },
            resizing("resize_nearest_neighbor") { _ in .nearest(centres) },
            resizing("upsample_bilinear") { call in
                let corners = try call.bool("align_corners")
                let isCentred = try call.has("half_pixel_centers") ? call.bool("half_pixel_centers") : !corners
                return .linear(corners ? .strict : isCentred ? .unaligned : .plain)
            },
            resizing("resize_bilinear") { call in .linear(try SamplingMode(call)) },
            resizing("resize", axes: { try $0.int("resized_dims") }) { call in
                let mode = try SamplingMode(call)
                guard try call.text("interpolation_mode") == "NEAREST_NEIGHBOR" else { return .linear(mode) }
                guard mode != .plain else { return .nearest(centres) }
                return .nearest { size, count in
                    mode.points(size, count).map { Int(($0 + 0.5).rounded(.down)) }
                }
            },
            Lowering("crop_resize", .graph) { call, builder in
                [try Boxes(call, builder).cut(builder.term("x", call)).tensor]
            },
            Lowering("resample", .graph) { call, builder in
                let points = try builder.term("coordinates", call).cast(to: .float32)
                return [try Sampling(call).of(builder.term("x", call), at: points).tensor]
            },
            Lowering("affine", .graph) { call, builder in
                let matrix = try builder.term("transform_matrix", call).cast(to: .float32)
                let points = try mapped(matrix, call, batch: call.type("x").shape[0])
                return [try Sampling(call).of(builder.term("x", call), at: points).tensor]
            },
        ]

        /// The pixel that holds the centre of each new one.
        @Sendable private static func centres(_ size: Int, _ count: Int) -> [Int] {
            (0..<count).map { (2 * $0 + 1) * size / (2 * count) }
        }

        /// How an op finds new pixels.
        private enum Resizing {
            case nearest(@Sendable (_ size: Int, _ count: Int) -> [Int])
            case linear(SamplingMode)
        }

        /// An op that resizes its last axes, two where it does not say.
        private static func resizing(
            _ name: String, axes: @escaping @Sendable (Call) throws -> Int = { _ in 2 },
            _ way: @escaping @Sendable (Call) throws -> Resizing
        ) -> Lowering {
            Lowering(name) { call, builder in
                let (x, shape) = (try builder.term("x", call), try call.result().shape)
                let first = shape.count - (try axes(call))
                switch try way(call) {
                case .nearest(let places):
                    let resized = (first..<shape.count).reduce(x) { image, axis in
                        let size = image.sizes[axis]
                        let found = places(size, shape[axis])
                        return found == Array(0..<size) ? image : image.gathered(image.indices(found), axis: axis)
                    }
                    return [resized.tensor]
                case .linear(let mode):
                    let resized = try x.inFloats { try $0.resized(to: shape, from: first, mode) }
                    return [resized.tensor]
                }
            }
        }

        /// [batch, rows, columns, 2]: where an affine map takes the pixels of the result.
        private static func mapped(_ matrix: Term, _ call: Call, batch: Int) throws -> Term {
            let (rows, columns) = (try call.int("output_height"), try call.int("output_width"))
            let (mode, corners) = (try call.text("coordinates_mode").lowercased(), try call.bool("align_corners"))
            func places(_ count: Int) -> [Double] {
                (0..<count).map { place in
                    if mode == "unnormalized" { return Double(place) }
                    let part =
                        !corners
                        ? (Double(place) + 0.5) / Double(count) : count == 1 ? 0.5 : Double(place) / Double(count - 1)
                    return mode == "normalized_zero_to_one" ? part : 2 * part - 1
                }
            }
            let x = try matrix.constants(places(columns), [1, 1, columns])
            let y = try matrix.constants(places(rows), [1, rows, 1])
            func coefficient(_ index: Int) -> Term {
                matrix.sliced(1, begin: index, length: 1).reshaped([matrix.sizes[0], 1, 1])
            }
            let points = [0, 3].map { first in
                coefficient(first) * x + coefficient(first + 1) * y + coefficient(first + 2)
            }
            return Term.joined(points.map { $0.reshaped($0.sizes + [1]) }, 3).broadcast([batch, rows, columns, 2])
        }
    }

    /// Where samples lie on an axis.
    private enum SamplingMode: String {
        case plain = "DEFAULT"
        case strict = "STRICT_ALIGN_CORNERS"
        case aligned = "ALIGN_CORNERS"
        case unaligned = "UNALIGN_CORNERS"
        case offset = "OFFSET_CORNERS"

        init(_ call: Call) throws { self = SamplingMode(rawValue: try call.text("sampling_mode")) ?? .plain }

        /// Sample i of an interval lies at its start + part · length + pixels · share - shift.
        func parts(_ count: Int) -> (places: [Double], shift: Double) {
            let (n, places) = (Double(count), (0..<count).map(Double.init))
            return switch self {
            case .plain: (places.map { $0 / n }, 0)
            case .strict: (places.map { count == 1 ? 0 : $0 / (n - 1) }, 0)
            case .aligned: (places.map { count == 1 ? 0.5 : $0 / (n - 1) }, 0)
            case .unaligned: (places.map { ($0 + 0.5) / n }, 0.5)
            case .offset: (places.map { ($0 + 0.5) / n }, 0)
            }
        }

        /// What the parts are parts of: the distance of the end pixels, or that of the edges around them.
        func span(_ length: Double) -> Double {
            switch self {
            case .plain, .unaligned: length + 1
            case .strict, .aligned: length
            case .offset: max(1, length)
            }
        }

        /// The samples of a whole axis, none beyond its end pixels.
        func points(_ size: Int, _ count: Int) -> [Double] {
            let (places, shift) = parts(count)
            return places.map { min(max($0 * span(Double(size - 1)) - shift, 0), Double(size - 1)) }
        }
    }

    extension Term {
        /// Positions mirrored at 0 and at an end until they lie between.
        fileprivate func mirrored(at end: Term) -> Term {
            let period = end + end
            let rounds = Term(graph.floor(with: (self / period).tensor, name: nil), graph)
            let rest = self - rounds * period
            return end - (rest - end).magnitude
        }

        /// Integers and fp16 are computed in fp32, and cast back to their type.
        fileprivate func inFloats(_ formula: (Term) throws -> Term) rethrows -> Term {
            try formula(cast(to: .float32)).cast(to: type)
        }

        /// The axes from `first` on mixed linearly.
        fileprivate func resized(to shape: [Int], from first: Int, _ mode: SamplingMode) throws -> Term {
            if first == shape.count - 2, let image = byGraph(shape, mode) { return image }
            return try (first..<shape.count).reduce(self) { image, axis in
                try image.mixed(axis, mode.points(image.sizes[axis], shape[axis]))
            }
        }

        /// By MPSGraph's own resizing, in the three ways that it shares.
        private func byGraph(_ shape: [Int], _ mode: SamplingMode) -> Term? {
            let size = Array(shape.suffix(2))
            // Corners of one pixel come out as NaN (pytorch/pytorch 144245).
            let isStrict = mode == .strict && !(size + sizes.suffix(2)).contains(1)
            guard mode == .plain || mode == .unaligned || isStrict else { return nil }
            let image = reshaped([shape.dropLast(2).reduce(1, *), 1] + sizes.suffix(2))
            let resized = graph.resize(
                image.tensor, size: size.numbers, mode: .bilinear, centerResult: mode == .unaligned,
                alignCorners: mode == .strict, layout: .NCHW, name: nil)
            return Term(resized, graph).reshaped(shape)
        }

        /// One axis at given points between its pixels.
        private func mixed(_ axis: Int, _ points: [Double]) throws -> Term {
            let (size, low) = (sizes[axis], points.map { Int($0) })
            if points == (0..<size).map(Double.init) { return self }
            let lower = gathered(indices(low), axis: axis)
            let upper = gathered(indices(low.map { min($0 + 1, size - 1) }), axis: axis)
            let weight = try constants(zip(points, low).map { $0 - Double($1) }, [points.count])
                .along(axis, rank: sizes.count)
            return lower * (1 - weight) + upper * weight
        }
    }

    /// How resample and affine read an image.
    private struct Sampling {
        let isNearest: Bool
        let padding: String
        let value: Double
        let mode: String
        let corners: Bool

        init(_ call: Call) throws {
            isNearest = try call.text("sampling_mode").lowercased() == "nearest"
            padding = try call.text("padding_mode").lowercased()
            value = padding == "constant" ? try call.number("padding_value") : 0
            mode = try call.text("coordinates_mode").lowercased()
            corners = try call.bool("align_corners")
        }

        /// Pixels by their positions, none outside.
        static let inside = Sampling()

        private init() { (isNearest, padding, value, mode, corners) = (false, "border", 0, "unnormalized", false) }

        /// x at points [batch, rows, columns, 2].
        func of(_ x: Term, at points: Term) throws -> Term {
            let sizes = [x.sizes[3], x.sizes[2]].map(Double.init)
            func each(_ number: (Double) -> Double) throws -> Term {
                try points.constants(sizes.map(number), [1, 1, 1, 2])
            }
            var places = try points * each { pixels($0).factor } + each { pixels($0).shift }
            // Halfway between two pixels the nearest one is the next.
            if isNearest { places = Term(x.graph.floor(with: (places + 0.5).tensor, name: nil), x.graph) }
            places = try folded(places, each)
            // Parts of the image from edge to edge, with 0 around it: the way of MPSGraph's sampling that others rely on.
            let parts = try places * each { 2 / $0 } + each { 1 / $0 - 1 }
            return x.inFloats { image in
                let shifted = value == 0 ? image : image - value
                let sampled = image.graph.sampleGrid(
                    withSourceTensor: shifted.tensor, coordinateTensor: parts.tensor, layout: .NCHW,
                    normalizeCoordinates: true, relativeCoordinates: false, alignCorners: false, paddingMode: .zero,
                    samplingMode: isNearest ? .nearest : .bilinear, constantValue: 0, name: nil)
                return value == 0 ? Term(sampled, image.graph) : Term(sampled, image.graph) + value
            }
        }

        /// Positions outside the image where the padding sends them: mirrored at the outermost pixels or at their edges as
        /// often as it takes, then held within.
        private func folded(_ places: Term, _ each: ((Double) -> Double) throws -> Term) throws -> Term {
            var places = places
            switch padding {
            case "reflection": places = try places.mirrored(at: each { max(0.5, $0 - 1) })
            case "symmetric": places = try (places + 0.5).mirrored(at: each { $0 }) - 0.5
            case "constant": return places
            default: break
            }
            return try places.larger(places.number(0)).smaller(each { $0 - 1 })
        }

        /// Coordinates as positions of pixels.
        private func pixels(_ size: Double) -> (factor: Double, shift: Double) {
            if mode == "unnormalized" { return (1, 0) }
            let (length, first) = corners ? (size - 1, 0) : (size, -0.5)
            return mode == "normalized_zero_to_one" ? (length, first) : (length / 2, length / 2 + first)
        }
    }

    /// The boxes of a `crop_resize`.
    private struct Boxes {
        let call: Call
        let builder: GraphBuilder
        let boxes: Term
        let mode: SamplingMode

        init(_ call: Call, _ builder: GraphBuilder) throws {
            (self.call, self.builder) = (call, builder)
            boxes = try builder.term("boxes", call).cast(to: .float32) * call.number("spatial_scale")
            mode = try SamplingMode(call)
        }

        func cut(_ x: Term) throws -> Term {
            let shape = try call.result().shape
            let (height, width) = (x.sizes[2], x.sizes[3])
            let isWidthFirst = try call.text("box_coordinate_mode").hasSuffix("WIDTH_FIRST")
            let rows = try points(isWidthFirst ? 1 : 0, height, shape[2]).reshaped([shape[0], shape[2], 1])
            let columns = try points(isWidthFirst ? 0 : 1, width, shape[3]).reshaped([shape[0], 1, shape[3]])
            func spread(_ points: Term) -> Term {
                points.broadcast([shape[0], shape[2], shape[3]]).reshaped([shape[0], shape[2], shape[3], 1])
            }
            let sampled = try Sampling.inside.of(
                images(x).cast(to: .float32), at: Term.joined([spread(columns), spread(rows)], 3))
            let inside = isInside(rows, height) && isInside(columns, width)
            let value = try call.number("pad_value")
            return inside.reshaped([shape[0], 1, shape[2], shape[3]]).choose(sampled, sampled.number(value))
                .cast(to: x.type)
        }

        /// [boxes, count]: where the new pixels of each box lie along one axis.
        private func points(_ column: Int, _ size: Int, _ count: Int) throws -> Term {
            let scale = try call.bool("normalized_coordinates") ? Double(size - 1) : 1
            let (a, b) = (
                boxes.sliced(1, begin: column, length: 1) * scale, boxes.sliced(1, begin: column + 2, length: 1) * scale
            )
            let isCentred = try call.text("box_coordinate_mode").hasPrefix("CENTER")
            let (start, end) = isCentred ? (a - b * 0.5, a + b * 0.5) : (a, b)
            let length = end - start
            let span =
                switch mode {
                case .plain, .unaligned: length + 1
                case .strict, .aligned: length
                case .offset: length.larger(length.number(1))
                }
            let (places, shift) = mode.parts(count)
            let points = start + span * (try span.constants(places, [1, count])) - shift
            return points.larger(start.smaller(end)).smaller(start.larger(end))
        }

        private func isInside(_ points: Term, _ size: Int) -> Term {
            points >= 0 && points.number(Double(size - 1)) >= points
        }

        /// The image of each box.
        private func images(_ x: Term) throws -> Term {
            let count = try call.type("boxes").shape[0]
            guard call.has("box_indices") else { return x.sliced(0, begin: 0, length: count) }
            return x.gathered(try builder.term("box_indices", call).positions(below: [x.sizes[0]]), axis: 0)
        }
    }
#endif
