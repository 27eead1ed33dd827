#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Indexing. MPSGraph counts no index from the end and says nothing of those outside: constant ones are checked here,
    // others are held within their axis, so that no foreign memory is read. Results whose size the elements decide have no
    // rows: a compiled graph has fixed sizes.

    extension MetalLowerings {
        static let indexing: [Lowering] = [
            Lowering("gather", .graphAndComplex, refusal: unchecked) { call, builder in
                let x = try builder.term("x", call)
                let axis = try call.axis(rank: call.type("x").rank)
                let indices = try positions(call, builder, below: [x.sizes[axis]])
                let batch = try call.int("batch_dims")
                return [try builder.shaped(x.gathered(indices, axis: axis, batch: batch), call)]
            },
            Lowering("gather_along_axis", .graphAndComplex, refusal: unchecked) { call, builder in
                let x = try builder.term("x", call)
                let axis = try call.axis(rank: call.type("x").rank)
                let indices = try positions(call, builder, below: [x.sizes[axis]])
                return [x.taken(indices, along: axis).tensor]
            },
            Lowering("gather_nd", .graphAndComplex, refusal: unchecked) { call, builder in
                let (x, batch) = (try builder.term("x", call), try call.int("batch_dims"))
                let depth = try call.type("indices").shape.last ?? 0
                let indices = try positions(call, builder, below: Array(x.sizes[batch..<batch + depth]))
                return [try builder.shaped(x.gatheredDeep(indices, batch: batch), call)]
            },
            scatter("scatter") { call, builder, data, updates, mode in
                let axis = try call.axis(rank: data.sizes.count)
                let indices = try positions(call, builder, below: [data.sizes[axis]])
                let count = indices.sizes.reduce(1, *)
                let shape = data.sizes[..<axis] + [count] + data.sizes[(axis + 1)...]
                return data.graph.scatterWithData(
                    data.tensor, updates: updates.reshaped(Array(shape)).tensor,
                    indices: indices.reshaped([count]).tensor, axis: axis, mode: mode, name: nil)
            },
            scatter("scatter_along_axis") { call, builder, data, updates, mode in
                let axis = try call.axis(rank: data.sizes.count)
                let indices = try positions(call, builder, below: [data.sizes[axis]])
                return data.graph.scatterAlongAxis(
                    axis, data: data.tensor, updates: updates.tensor, indices: indices.tensor, mode: mode, name: nil)
            },
            scatter("scatter_nd") { call, builder, data, updates, mode in
                let depth = try call.type("indices").shape.last ?? 0
                let indices = try positions(call, builder, below: Array(data.sizes[..<depth]))
                return data.graph.scatterNDWithData(
                    data.tensor, updates: updates.tensor, indices: indices.tensor, batchDimensions: 0, mode: mode,
                    name: nil)
            },
            Lowering("slice_update", .graphAndComplex, refusal: tooLong) { call, builder in
                let (x, update) = (try builder.term("x", call), try builder.term("update", call))
                let isKnown = call.constant("begin") != nil && call.constant("end") != nil
                guard isKnown else { return [try written(x, update, call, builder).tensor] }
                let bounds = try SliceBounds(call)
                return [x.updated(update.reshaped(bounds.length), bounds).tensor]
            },
            Lowering("topk", .graph) { call, builder in
                let types = try call.operation.outputs.map(builder.function.tensorType)
                let lines = try Lines(builder.term("x", call), along: call.axis(rank: call.type("x").rank))
                let order = try lines.order(ascending: call.bool("ascending"))
                    .sliced(1, begin: 0, length: types[0].shape[lines.axis])
                let found = [lines.rows.taken(order, along: 1), order].map(lines.back)
                return try zip(types, found).map { try builder.cast($1.tensor, to: $0.dtype) }
            },
            Lowering("argsort", .graph) { call, builder in
                let lines = try Lines(builder.term("x", call), along: call.axis(rank: call.type("x").rank))
                let order = try lines.back(lines.order(ascending: call.bool("ascending")))
                return [try builder.cast(order.tensor, to: call.result().dtype)]
            },
            Lowering("sort", .graph) { call, builder in
                let lines = try Lines(builder.term("x", call), along: call.axis(rank: call.type("x").rank))
                return [try lines.back(lines.sorted(ascending: call.bool("ascending"))).tensor]
            },
            Lowering("search_sorted", .graph, refusal: tooManyComparisons) { call, builder in
                let x = try builder.term("x", call)
                let type = try call.result()
                let values = try builder.term("v", call).reshaped([call.type("v").shape.reduce(1, *), 1])
                let line = x.reshaped([1, x.sizes.reduce(1, *)])
                let comes = try call.text("side") == "left" ? line.isBefore(values) : !values.isBefore(line)
                let count = x.graph.reductionSum(with: comes.cast(to: .int32).tensor, axes: [1].numbers, name: nil)
                return [try builder.cast(Term(count, x.graph).reshaped(type.shape).tensor, to: type.dtype)]
            },
            Lowering("non_zero", .graphAndComplex) { call, builder in
                let x = try call.known("x")
                let places = (0..<x.count).filter { !x.isZero(at: $0) }.flatMap { place in
                    x.shape.indices.map { Int32(clamping: place / x.shape[($0 + 1)...].reduce(1, *) % x.shape[$0]) }
                }
                let positions = try builder.constant(Tensor(places, shape: call.result().shape))
                return [try builder.cast(positions, to: call.result().dtype)]
            },
            Lowering(
                "non_maximum_suppression", .graph,
                refusal: { _ in "MPSGraph's documentation does not say what its own suppression answers." }
            ) { call, _ in throw Failure(.unsupported, "\(call.place): MPSGraph has no such suppression.") },
        ]

        private static let modes: [String: MPSGraphScatterMode] = [
            "update": .set, "add": .add, "sub": .sub, "mul": .mul, "div": .div, "max": .max, "min": .min,
        ]

        /// A scatter, whose data and updates come in a type that MPSGraph combines.
        private static func scatter(
            _ name: String,
            _ combine:
                @escaping @Sendable (
                    _ call: Call, _ builder: GraphBuilder, _ data: Term, _ updates: Term, _ mode: MPSGraphScatterMode
                ) throws -> MPSGraphTensor
        ) -> Lowering {
            Lowering(name, .graphAndComplex, refusal: { unchecked($0) ?? scatterRefusal($0) }) { call, builder in
                let (data, updates) = (try builder.term("data", call), try builder.term("updates", call))
                let mode = modes[try call.text("mode")] ?? .set
                guard mode != .set else {
                    return [
                        try Term.moved(data, updates) {
                            Term(try combine(call, builder, $0, $1, .set), data.graph)
                        }.tensor
                    ]
                }
                return [try data.combined(updates, mode) { try combine(call, builder, $0, $1, $2) }.tensor]
            }
        }

        private static func scatterRefusal(_ call: Call) -> String? {
            guard let mode = try? call.text("mode"), let dtype = try? call.type("data").dtype else { return nil }
            switch dtype {
            case .bool where mode == "sub" || mode == "div": return "The mode '\(mode)' has no meaning for bool."
            case .complex64 where !["update", "add", "sub"].contains(mode):
                return "MPSGraph scatters complex64 by its parts, which the mode '\(mode)' does not allow."
            case _ where mode == "div" && dtype.isInteger:
                return "MPSGraph does not say how it rounds a quotient of \(dtype.name)."
            default: return nil
            }
        }

        /// A graph cannot end a run with a failure.
        @Sendable private static func unchecked(_ call: Call) -> String? {
            guard (try? call.bool("validate_indices")) == true, call.constant("indices") == nil else { return nil }
            return "validate_indices is true; a graph cannot fail during the run, and indices come only then."
        }

        /// The graph compares each with each.
        private static let mostComparisons = 1 << 26

        @Sendable private static func tooManyComparisons(_ call: Call) -> String? {
            guard let x = try? call.type("x").count, let v = try? call.type("v").count else { return nil }
            let (count, overflow) = x.multipliedReportingOverflow(by: v)
            guard overflow || count > mostComparisons else { return nil }
            return "\(x) elements compared with each of \(v) are more than \(mostComparisons) comparisons."
        }

        /// The indices as int32 from 0 on, none outside.
        private static func positions(_ call: Call, _ builder: GraphBuilder, below sizes: [Int]) throws -> Term {
            guard let known = call.constant("indices") else {
                return try builder.term("indices", call).positions(below: sizes)
            }
            let places = try (0..<known.count).map { place in
                let (index, size) = (known.int(at: place) ?? Int.max, sizes[place % sizes.count])
                guard index >= -size, index < size else {
                    throw Failure(
                        .outOfRange,
                        "\(call.place): the index \(index) at position \(place) of 'indices' lies outside an axis of size \(size)."
                    )
                }
                return Int32(clamping: index < 0 ? index + size : index)
            }
            return Term(try builder.constant(Tensor(places, shape: known.shape)), builder.graph)
        }

        /// Where the place of a slice comes at run time, positions count through all of x.
        @Sendable private static func tooLong(_ call: Call) -> String? {
            guard call.constant("begin") == nil, let x = try? call.type("x"), x.count > Int(Int32.max) else {
                return nil
            }
            return "x has \(x.count) elements; MPSGraph counts positions in 32 bits."
        }

        /// x with the update at a place that comes at run time: all in one list, by positions in it.
        private static func written(_ x: Term, _ update: Term, _ call: Call, _ builder: GraphBuilder) throws -> Term {
            let (shape, masks) = (try call.type("x").shape, try SliceMasks(call))
            let begin = try builder.term("begin", call)
            var lengths = try call.type("update").shape[...]
            var places = x.indices([0])
            for axis in shape.indices {
                let isSqueezed = masks.squeeze.indices.contains(axis) && masks.squeeze[axis]
                let isFirst = masks.begin.indices.contains(axis) && masks.begin[axis]
                let stride = isSqueezed || !masks.stride.indices.contains(axis) ? 1 : masks.stride[axis]
                let count = isSqueezed ? 1 : lengths.popFirst() ?? 1
                let start = begin.sliced(begin: [axis], stride: [1], length: [1]).positions(below: [shape[axis]])
                let first = isFirst ? start * 0 + (stride < 0 ? Double(shape[axis] - 1) : 0) : start
                let line = first + first.indices((0..<count).map { $0 * stride })
                let step = Double(shape[(axis + 1)...].reduce(1, *))
                let inside = line.held(from: 0, to: Double(shape[axis] - 1)) * step
                places = places.reshaped([places.sizes.reduce(1, *), 1]) + inside.reshaped([1, count])
            }
            let flat = places.reshaped([places.sizes.reduce(1, *)])
            return Term.moved(x, update) { x, update in
                Term(
                    x.graph.scatterWithData(
                        x.reshaped([shape.reduce(1, *)]).tensor, updates: update.reshaped(flat.sizes).tensor,
                        indices: flat.tensor, axis: 0, mode: .set, name: nil), x.graph
                ).reshaped(shape)
            }
        }
    }

    // MARK: Terms taken by position

    extension Term {
        /// Indices as int32, those from the end counted from the start, all within the sizes that the last axis runs through.
        func positions(below sizes: [Int]) -> Term {
            let given = cast(to: .int32)
            let (size, last) = (indices(sizes), indices(sizes.map { $0 - 1 }))
            return (given < 0).choose(given + size, given).larger(indices([0])).smaller(last)
        }

        func gathered(_ indices: Term, axis: Int) -> Term {
            moved {
                Term(
                    graph.gather(
                        withUpdatesTensor: $0.tensor, indicesTensor: indices.tensor, axis: axis, batchDimensions: 0,
                        name: nil), graph)
            }
        }

        // A batch becomes part of the axis that is gathered from: a report (tillahoffmann/jax-mps 60) has MPSGraph's own
        // batches all take from the first.

        /// Elements along an axis, for each element of the batch others. The result has one axis for all of the batch and one
        /// for all of the indices.
        fileprivate func gathered(_ indices: Term, axis: Int, batch: Int) -> Term {
            guard batch > 0 else { return gathered(indices, axis: axis) }
            let others = sizes.indices.filter { $0 >= batch && $0 != axis }
            let rest = others.map { sizes[$0] }
            let rows = sizes[..<batch].reduce(1, *)
            let count = indices.sizes.reduce(1, *) / rows
            let starts = indices.indices((0..<rows).map { $0 * sizes[axis] }).reshaped([rows, 1])
            let places = (indices.reshaped([rows, count]) + starts).reshaped([rows * count])
            let found = transposed(Array(0..<batch) + [axis] + others).reshaped([rows * sizes[axis]] + rest)
                .gathered(places, axis: 0).reshaped([rows, count] + rest)
            let before = axis - batch + 2
            return found.transposed([0] + Array(2..<before) + [1] + Array(before..<rest.count + 2))
        }

        /// Slices at the positions that the last axis of the indices holds.
        fileprivate func gatheredDeep(_ indices: Term, batch: Int) -> Term {
            guard batch > 0 else {
                return moved {
                    Term(
                        graph.gatherND(
                            withUpdatesTensor: $0.tensor, indicesTensor: indices.tensor, batchDimensions: 0, name: nil),
                        graph)
                }
            }
            let (rows, depth) = (sizes[..<batch].reduce(1, *), indices.sizes[indices.sizes.count - 1])
            let count = indices.sizes.reduce(1, *) / (rows * depth)
            let starts = (0..<rows).flatMap { row in (0..<depth).map { $0 == 0 ? row * sizes[batch] : 0 } }
            let places = indices.reshaped([rows, count, depth]) + indices.indices(starts).reshaped([rows, 1, depth])
            return reshaped([rows * sizes[batch]] + sizes[(batch + 1)...])
                .gatheredDeep(places.reshaped([rows * count, depth]), batch: 0)
        }

        /// Elements along one axis; the other axes run in step. Where one axis holds everything it is the only one: before
        /// macOS 15.3 MPSGraph is wrong for those with more (pytorch/pytorch 135240).
        func taken(_ indices: Term, along axis: Int) -> Term {
            if sizes.count > 1, sizes[axis] == sizes.reduce(1, *) {
                return reshaped([sizes[axis]]).taken(indices.reshaped([indices.sizes.reduce(1, *)]), along: 0)
                    .reshaped(indices.sizes)
            }
            if sizes[axis] == 1 { return moved { $0.broadcast(indices.sizes) } }
            return moved {
                Term(graph.gatherAlongAxis(axis, updates: $0.tensor, indices: indices.tensor, name: nil), graph)
            }
        }

        /// With the slice replaced. The update is turned round where the slice goes back.
        fileprivate func updated(_ update: Term, _ bounds: SliceBounds) -> Term {
            let last = sizes.indices.map { bounds.begin[$0] + (bounds.length[$0] - 1) * bounds.stride[$0] }
            let turned = update.reversed(sizes.indices.filter { bounds.stride[$0] < 0 && bounds.length[$0] > 1 })
            return Term.moved(self, turned) { data, update in
                Term(
                    graph.sliceUpdateDataTensor(
                        data.tensor, update: update.tensor, starts: zip(bounds.begin, last).map(min).numbers,
                        ends: zip(bounds.begin, last).map { max($0, $1) + 1 }.numbers,
                        strides: bounds.stride.map { Int($0.magnitude) }.numbers, name: nil), graph)
            }
        }

        /// Whether an element comes before another one; NaN counts as the greatest.
        fileprivate func isBefore(_ other: Term) -> Term {
            let (x, y) = type == .bool ? (cast(to: .int32), other.cast(to: .int32)) : (self, other)
            return isFloat ? (x < y) || (y.isNaN && !x.isNaN) : x < y
        }

        /// With the updates added to it, or combined otherwise.
        fileprivate func combined(
            _ updates: Term, _ mode: MPSGraphScatterMode,
            _ combine: (Term, Term, MPSGraphScatterMode) throws -> MPSGraphTensor
        ) throws -> Term {
            if isComplex {
                let (x, y) = (Parts(self), Parts(updates))
                return Parts(
                    Term(try combine(x.re, y.re, mode), graph), Term(try combine(x.im, y.im, mode), graph)
                ).joined
            }
            // The sum of booleans is the greater one, their product the smaller. Short integers wrap in the last cast.
            let wanted = type != .bool ? mode : mode == .add ? .max : mode == .mul ? .min : mode
            let wide = isFloat || width >= 32 ? type : .int32
            let result = Term(try combine(cast(to: wide), updates.cast(to: wide), wanted), graph)
            return type == .bool ? result != 0 : result.cast(to: type)
        }
    }

    // MARK: Terms that carry bits

    extension Term {
        /// Applies `move`, which moves elements by position, to their bits: MPSGraph takes integers through fp32, which
        /// keeps 24 of their bits, and it moves neither booleans nor complex numbers.
        func moved(_ move: (Term) throws -> Term) rethrows -> Term { Term.joined(try carriers.map(move), as: type) }

        /// The same of two operands of one element type.
        fileprivate static func moved(_ x: Term, _ y: Term, _ move: (Term, Term) throws -> Term) rethrows -> Term {
            joined(try zip(x.carriers, y.carriers).map(move), as: x.type)
        }

        /// The elements, or their parts, in types that move unchanged.
        private var carriers: [Term] {
            switch type {
            case .bool: return [cast(to: .int8)]
            case .complexFloat32:
                let parts = Parts(self)
                return [parts.re, parts.im]
            case .int32, .uInt32: return [bits(as: .float32)]
            case .int64, .uInt64:
                let halves = bits(as: .float32).reshaped(sizes + [2])
                return [0, 1].map { halves.sliced(sizes.count, begin: $0, length: 1).reshaped(sizes) }
            default: return [self]
            }
        }

        private static func joined(_ carriers: [Term], as type: MPSDataType) -> Term {
            switch type {
            case .bool: return carriers[0] != 0
            case .complexFloat32: return Parts(carriers[0], carriers[1]).joined
            case .int32, .uInt32: return carriers[0].bits(as: type)
            case .int64, .uInt64:
                let sizes = carriers[0].sizes
                let pairs = joined(carriers.map { $0.reshaped(sizes + [1]) }, sizes.count)
                return pairs.reshaped(sizes.dropLast() + [2 * (sizes.last ?? 1)]).bits(as: type)
            default: return carriers[0]
            }
        }

        /// The same bits as elements of another type, of which the last axis has as many as fit.
        fileprivate func bits(as type: MPSDataType) -> Term {
            type == self.type ? self : Term(graph.reinterpretCast(tensor, to: type, name: nil), graph)
        }
    }

    // MARK: Order

    /// The lines of a tensor along an axis as rows of a matrix: MPSGraph sorts along the last four axes only.
    private struct Lines {
        let axis: Int
        let rows: Term
        private let order: [Int]
        private let shape: [Int]

        init(_ x: Term, along axis: Int) throws {
            self.axis = axis
            order = x.sizes.indices.filter { $0 != axis } + [axis]
            let turned = x.transposed(order)
            shape = turned.sizes
            rows = turned.reshaped([shape.dropLast().reduce(1, *), shape.last ?? 1])
        }

        /// Rows as lines along the axis again.
        func back(_ rows: Term) -> Term {
            let turned = rows.reshaped(shape.dropLast() + [rows.sizes[1]])
            return turned.transposed(order.indices.map { place in order.firstIndex(of: place) ?? place })
        }

        /// The positions of the elements in order, NaN after all others. Equal elements keep their order. To descend,
        /// the keys are inverted and sorted upwards, as it is not documented how MPSGraph orders equal elements then.
        func order(ascending: Bool) -> Term {
            let keys = rows.keys.map { ascending ? $0 : $0 ^ $0.whole(-1) }
            return keys.dropFirst().reduce(keys[0].sortedRows) { order, key in
                order.taken(key.taken(order, along: 1).sortedRows, along: 1)
            }
        }

        func sorted(ascending: Bool) -> Term { rows.taken(order(ascending: ascending), along: 1) }
    }

    extension Term {
        /// MPSGraph takes more rows than these for fewer (pytorch/pytorch 183885).
        private static let mostRows = 1 << 22

        fileprivate var sortedRows: Term {
            let parts = stride(from: 0, to: sizes[0], by: Term.mostRows).map { start in
                let part = sliced(0, begin: start, length: min(Term.mostRows, sizes[0] - start))
                return Term(graph.argSort(part.tensor, axis: 1, descending: false, name: nil), graph)
            }
            return parts.count == 1 ? parts[0] : Term.joined(parts, 0)
        }

        /// What has the same order in int32, the least significant first: of more bits, MPSGraph sorts 256 elements and no
        /// more (pytorch/pytorch 155560), and NaN goes by its sign (116567).
        fileprivate var keys: [Term] {
            switch type {
            case .float16, .float32:
                let single = cast(to: .float32)
                let bits = single.bits(as: .int32)
                let rising = (bits < bits.whole(0)).choose(bits.whole(Int(Int32.min)) - bits, bits)
                return [single.isNaN.choose(bits.whole(Int(Int32.max)), rising)]
            case .uInt32: return [bits(as: .int32).signed]
            case .int64, .uInt64:
                let halves = bits(as: .int32).reshaped(sizes + [2])
                let (low, high) = (halves.part(0, sizes), halves.part(1, sizes))
                return [low.signed, type == .int64 ? high : high.signed]
            default: return [cast(to: .int32)]
            }
        }

        /// Unsigned int32 in the order of signed ones.
        private var signed: Term { self ^ whole(Int(Int32.min)) }

        private func part(_ place: Int, _ sizes: [Int]) -> Term {
            sliced(sizes.count, begin: place, length: 1).reshaped(sizes)
        }
    }

    extension GraphBuilder {
        /// A term under the shape of the call's only result.
        fileprivate func shaped(_ term: Term, _ call: Call) throws -> MPSGraphTensor {
            term.reshaped(try call.result().shape).tensor
        }
    }

    extension Call {
        /// The type of the first result.
        func result() throws -> TensorType {
            guard let id = operation.outputs.first else { throw Failure(.bug, "'\(op.name)' has no result.") }
            return try function.tensorType(id)
        }
    }
#endif
