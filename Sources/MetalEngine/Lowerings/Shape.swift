#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Shape: ops that move elements or make them. Those that only reshape, cut or stack are said by their expansions.

    extension MetalLowerings {
        static let shape: [Lowering] = [
            moving("reshape") { x, call, type in x.reshaped(type.shape) },
            moving("transpose") { x, call, _ in
                x.transposed(try call.axes("perm", rank: call.type("x").rank) ?? [])
            },
            Lowering("concat", .graphAndComplex) { call, builder in
                let tensors = try builder.tensors("values", call)
                let rank = max(1, try call.types("values").first?.rank ?? 1)
                let axis = try Call.axis(call.int("axis"), rank: rank)
                let graph = builder.graph
                return try call.bool("interleave")
                    ? [graph.concatTensors(tensors, dimension: axis, interleave: true, name: nil)]
                    : [graph.concatTensors(tensors, dimension: axis, name: nil)]
            },
            moving("tile") { x, call, _ in
                let reps = try call.ints("reps").numbers
                return x.moved { Term(x.graph.tileTensor($0.tensor, withMultiplier: reps, name: nil), x.graph) }
            },
            moving("pad", refusal: padRefusal) { x, call, _ in
                let (pad, value) = (try Padding(call), try call.known("constant_val"))
                let mode = try paddingMode(call)
                func padded(_ term: Term, _ value: Double) -> Term {
                    term.padded(before: pad.before, after: pad.after, mode, with: value)
                }
                // MPSGraph does not pad booleans.
                if x.type == .bool { return padded(x.cast(to: .int8), value.isZero(at: 0) ? 0 : 1) != 0 }
                guard x.isComplex else { return padded(x, value.double(at: 0)) }
                let (parts, number) = (Parts(x), value.parts)
                return Parts(padded(parts.re, number.real), padded(parts.im, number.imaginary)).joined
            },
            moving("reverse") { x, call, type in
                x.reversed(try call.axes(rank: type.rank) ?? Array(0..<type.rank))
            },
            Lowering("reverse_sequence", .graphAndComplex) { call, builder in
                let (x, shape) = (try builder.term("x", call), try call.type("x").shape)
                let (sequence, batch) = (
                    try call.axis("seq_axis", rank: shape.count), try call.axis("batch_axis", rank: shape.count)
                )
                let lengths = try builder.term("lengths", call).cast(to: .int32).along(batch, rank: shape.count)
                let places = lengths.indices(Array(0..<shape[sequence])).along(sequence, rank: shape.count)
                let turned = (places < lengths).choose(lengths - places - 1, places).broadcast(shape)
                return [x.taken(turned, along: sequence).tensor]
            },
            Lowering("slice_by_index", .graphAndComplex) { call, builder in
                let x = try builder.term("x", call)
                let type = try builder.function.tensorType(call.operation.outputs[0])
                let isKnown = call.constant("begin") != nil && call.constant("end") != nil
                let slice = try isKnown ? x.sliced(SliceBounds(call)) : taken(x, call, builder)
                return [slice.reshaped(type.shape).tensor]
            },
            Lowering("slice_by_size", .graphAndComplex) { call, builder in
                let (x, shape) = (try builder.term("x", call), try call.type("x").shape)
                let length = try builder.function.tensorType(call.operation.outputs[0]).shape
                if let begin = call.constant("begin")?.ints {
                    return [x.sliced(begin: begin, stride: shape.map { _ in 1 }, length: length).tensor]
                }
                let starts = try builder.term("begin", call)
                let slice = shape.indices.reduce(x) { part, axis in
                    guard length[axis] < shape[axis] else { return part }
                    let begin = starts.sliced(begin: [axis], stride: [1], length: [1])
                    let first = begin.positions(below: [shape[axis]]).held(
                        from: 0, to: Double(shape[axis] - length[axis]))
                    return part.gathered(first + first.indices(Array(0..<length[axis])), axis: axis)
                }
                return [slice.tensor]
            },
            moving("sliding_windows") { x, call, type in
                let axis = try call.axis(rank: type.rank - 1)
                let (count, size, stride) = (type.shape[axis], type.shape[axis + 1], try call.int("stride"))
                let places = (0..<count).flatMap { window in (0..<size).map { window * stride + $0 } }
                return x.gathered(x.indices(places).reshaped([count, size]), axis: axis)
            },
            Lowering("fill", .graphAndComplex) { call, builder in
                let type = try builder.function.tensorType(call.operation.outputs[0])
                let value = try call.known("value").reshaped(Array(repeating: 1, count: type.rank))
                return [Term(try builder.constant(value), builder.graph).broadcast(type.shape).tensor]
            },
            Lowering("range_1d", .graph) { call, builder in
                let dtype = try builder.function.tensorType(call.operation.outputs[0]).dtype
                return [try builder.constant(numbers(of: call, dtype))]
            },
            moving("band_part", .graphNumbers) { x, call, _ in
                Term(
                    x.graph.bandPart(
                        x.tensor, numLower: try call.int("lower"), numUpper: try call.int("upper"), name: nil), x.graph)
            },
        ]

        /// An op of one operand that leaves the elements what they are.
        private static func moving(
            _ name: String, _ dtypes: Set<DataType> = .graphAndComplex,
            refusal: @escaping @Sendable (Call) -> String? = { _ in nil },
            _ move: @escaping @Sendable (_ x: Term, _ call: Call, _ type: TensorType) throws -> Term
        ) -> Lowering {
            Lowering(name, dtypes, refusal: refusal) { call, builder in
                let type = try builder.function.tensorType(call.operation.outputs[0])
                return [try move(builder.term("x", call), call, type).tensor]
            }
        }

        /// A slice whose bounds come at run time: one element of each squeezed axis, the others whole.
        private static func taken(_ x: Term, _ call: Call, _ builder: GraphBuilder) throws -> Term {
            let (shape, masks) = (try call.type("x").shape, try SliceMasks(call))
            let begin = try builder.term("begin", call)
            return shape.indices.reduce(x) { part, axis in
                guard masks.squeeze.indices.contains(axis), masks.squeeze[axis] else {
                    let isTurned = masks.stride.indices.contains(axis) && masks.stride[axis] < 0
                    let pace = masks.stride.indices.contains(axis) ? Int(masks.stride[axis].magnitude) : 1
                    let count = (shape[axis] - 1) / pace + 1
                    return part.sliced(
                        axis, begin: isTurned ? shape[axis] - 1 : 0, length: count, stride: isTurned ? -pace : pace)
                }
                let start = begin.sliced(begin: [axis], stride: [1], length: [1])
                let isFirst = masks.begin.indices.contains(axis) && masks.begin[axis]
                return part.gathered(isFirst ? start * 0 : start.positions(below: [shape[axis]]), axis: axis)
            }
        }

        private static func paddingMode(_ call: Call) throws -> MPSGraphPaddingMode {
            switch try call.text("mode") {
            case "reflect": .reflect
            case "replicate": .clampToEdge
            default: .constant
            }
        }

        /// The value of pads goes through a Double.
        @Sendable private static func padRefusal(_ call: Call) -> String? {
            guard let value = call.constant("constant_val"), value.dtype.isInteger else { return nil }
            guard let whole = value.int(at: 0), Double(exactly: whole) != nil else {
                return "The constant_val has more than the 53 bits that MPSGraph takes."
            }
            return nil
        }

        /// The numbers of a `range_1d`; integers are exact in 64 bits.
        private static func numbers(of call: Call, _ dtype: DataType) throws -> Tensor {
            if dtype.isInteger, dtype.size == 8, let range = try WholeRange(call) {
                let numbers = Tensor((0..<range.count).map { Int64(range.start &+ $0 &* range.step) })
                return Tensor(TensorType(dtype, [range.count]), storage: numbers.storage)
            }
            let range = try RangeNumbers(call)
            let numbers = (0..<range.count).map { range.start + Double($0) * range.step }
            return Tensor(numbers, dtype: dtype, shape: [range.count])
        }
    }

    // MARK: Terms that move

    extension Term {
        /// A vector with axes of length 1 around it, so that it meets one axis of a tensor of a rank.
        func along(_ axis: Int, rank: Int) -> Term {
            reshaped((0..<rank).map { $0 == axis ? sizes.reduce(1, *) : 1 })
        }

        /// `length` elements of each axis from `begin` on, in steps. MPSGraph is asked for steps forwards only, since it
        /// counts negative ends as TensorFlow does; what goes back is turned round behind.
        func sliced(begin: [Int], stride: [Int], length: [Int]) -> Term {
            guard length != sizes || stride.contains(where: { $0 < 0 }) else { return self }
            let last = sizes.indices.map { begin[$0] + (length[$0] - 1) * stride[$0] }
            let starts = zip(begin, last).map(min)
            let ends = zip(begin, last).map { max($0, $1) + 1 }
            let slice =
                length == sizes
                ? tensor
                : graph.sliceTensor(
                    tensor, starts: starts.numbers, ends: ends.numbers,
                    strides: stride.map { Int($0.magnitude) }.numbers, name: nil)
            return Term(slice, graph).reversed(sizes.indices.filter { stride[$0] < 0 && length[$0] > 1 })
        }

        func sliced(_ bounds: SliceBounds) -> Term {
            sliced(begin: bounds.begin, stride: bounds.stride, length: bounds.length)
        }

        /// Elements of one axis; the others stay whole.
        func sliced(_ axis: Int, begin: Int, length: Int, stride: Int = 1) -> Term {
            sliced(
                begin: sizes.indices.map { $0 == axis ? begin : 0 },
                stride: sizes.indices.map { $0 == axis ? stride : 1 },
                length: sizes.indices.map { $0 == axis ? length : sizes[$0] })
        }

        func reversed(_ axes: [Int]) -> Term {
            // Nothing is asked of axes of one element: there, MPSGraph reverses others (pytorch/pytorch 98266).
            let axes = axes.filter { sizes[$0] > 1 }
            return axes.isEmpty ? self : Term(graph.reverse(tensor, axes: axes.numbers, name: nil), graph)
        }

        /// More than four axes go one by one: MPSGraph's own pads of them overwrite the elements (pytorch/pytorch 194922).
        func padded(
            before: [Int], after: [Int], _ mode: MPSGraphPaddingMode = .constant, with value: Double
        ) -> Term {
            guard (before + after).contains(where: { $0 > 0 }) else { return self }
            guard sizes.count > 4 else {
                return Term(
                    graph.padTensor(
                        tensor, with: mode, leftPadding: before.numbers, rightPadding: after.numbers,
                        constantValue: value, name: nil), graph)
            }
            return sizes.indices.reduce(self) { term, axis in
                var result = term.sizes
                let outer = result[..<axis].reduce(1, *)
                let inner = result[(axis + 1)...].reduce(1, *)
                let flat = term.reshaped([outer, result[axis], inner])
                result[axis] += before[axis] + after[axis]
                return flat.padded(before: [0, before[axis], 0], after: [0, after[axis], 0], mode, with: value)
                    .reshaped(result)
            }
        }

        static func joined(_ terms: [Term], _ axis: Int) -> Term {
            let graph = terms[0].graph
            return Term(graph.concatTensors(terms.map(\.tensor), dimension: axis, name: nil), graph)
        }

        // MARK: Constants

        /// Floating-point numbers as a constant of this element type.
        func constants(_ values: [Double], _ shape: [Int]) throws -> Term {
            let dtype: DataType = type == .float16 ? .float16 : .float32
            return constant(Tensor(values, dtype: dtype, shape: shape), type)
        }

        /// Integers, such as positions, as a vector of int32.
        func indices(_ values: [Int]) -> Term { constant(Tensor(values.map { Int32(clamping: $0) }), .int32) }

        private func constant(_ value: MIL.Tensor, _ type: MPSDataType) -> Term {
            let data = withExtendedLifetime(value) { Data(bytes: value.pointer, count: value.type.byteCount) }
            return Term(graph.constant(data, shape: value.shape.numbers, dataType: type), graph)
        }
    }

    extension MIL.Tensor {
        /// The first number, complex or not.
        fileprivate var parts: (real: Double, imaginary: Double) {
            guard dtype == .complex64 else { return (double(at: 0), 0) }
            let parts = Tensor(TensorType(.float32, [2]), storage: storage, byteOffset: byteOffset)
            return (parts.double(at: 0), parts.double(at: 1))
        }
    }
#endif
