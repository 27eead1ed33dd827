#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Random numbers: those of the CPU, so that a seed gives the same ones on every device. MPSGraph has a generator, too, but
    // another; and a graph has no seed that differs from run to run.

    extension MetalLowerings {
        static let random: [Lowering] = [
            Lowering("random_uniform", .graphNumbers, refusal: anySeed) { call, builder in
                let type = try call.function.tensorType(call.operation.outputs[0])
                let (low, high) = (try call.float("low"), try call.float("high"))
                // Steps that fp16 can say leave the upper bound out after rounding, too.
                let bits = type.dtype == .float16 ? 11 : 24
                let drawn = try RandomBits(call, builder.graph, count: type.count)
                let part =
                    drawn.bits.top(bits).cast(to: .float32) * Double(sign: .plus, exponent: -bits, significand: 1)
                let spread = Double(low) + part * Double(high - low)
                let held = high > low ? spread.smaller(spread.number(Double(high.nextDown))) : spread
                return [held.cast(to: try builder.dataType(type.dtype)).reshaped(type.shape).tensor]
            },
            Lowering("random_normal", .graphNumbers, refusal: anySeed) { call, builder in
                let type = try call.function.tensorType(call.operation.outputs[0])
                let (mean, deviation) = (try call.number("mean"), try call.number("stddev"))
                // Two numbers from a point in the plane: Box and Muller.
                let drawn = try RandomBits(call, builder.graph, count: type.count, step: 2)
                let radius = (-2 * drawn.bits.top(32).fraction(32, plus: 0.5).log).squareRoot
                let angle = (drawn.bits & drawn.bits.whole(0xffff_ffff)).fraction(32, plus: 0) * (2 * Double.pi)
                let isFirst = drawn.isEven
                let place = isFirst.choose(angle.cos, angle.sin)
                let result = mean + deviation * (radius * place)
                return [result.cast(to: try builder.dataType(type.dtype)).reshaped(type.shape).tensor]
            },
            Lowering("random_categorical", .graphFloats, refusal: anySeed) { call, builder in
                let type = try call.function.tensorType(call.operation.outputs[0])
                let x = try builder.term("x", call)
                let (categories, size) = (x.sizes[x.sizes.count - 1], try call.int("size"))
                let weights = try weights(x.cast(to: .float32).reshaped([type.count / size, 1, categories]), call)
                let sums = weights.running
                let drawn = try RandomBits(call, builder.graph, count: type.count)
                let part = drawn.bits.top(24).cast(to: .float32) * 0x1p-24
                let left = part.reshaped([type.count / size, size, 1]) * sums.last
                // What lies behind all sums so far is the position; those without weight are never found.
                let isBehind = (sums > left) && (weights > 0)
                let places = Term(
                    builder.graph.coordinate(alongAxis: 2, withShape: [1, 1, categories].numbers, name: nil), x.graph)
                let found = isBehind.choose(places, Double(categories))
                let first = Term(
                    builder.graph.reductionMinimum(with: found.tensor, axes: [2].numbers, name: nil), x.graph)
                return [first.cast(to: x.type).reshaped(type.shape).tensor]
            },
        ]

        @Sendable private static func anySeed(_ call: Call) -> String? {
            guard (try? call.int("seed")) == -1 else { return nil }
            return "A seed of -1 asks for other numbers at every run; a graph of MPSGraph gives the same ones."
        }

        /// The weights of the categories, the largest logit being 0.
        private static func weights(_ x: Term, _ call: Call) throws -> Term {
            guard try call.text("mode") == "logits" else { return x }
            let largest = x.graph.reductionMaximumPropagateNaN(with: x.tensor, axes: [2].numbers, name: nil)
            return (x - Term(largest, x.graph)).exp
        }
    }

    /// 64 bits for each element, as the CPU's generator gives them: the finalizer of SplitMix64 of seed and position.
    private struct RandomBits {
        let bits: Term
        /// Whether an element is at an even place.
        let isEven: Term

        /// `step` elements share a position, that of the first.
        init(_ call: Call, _ graph: MPSGraph, count: Int, step: Int = 1) throws {
            let places = Term(graph.coordinate(alongAxis: 0, withShape: [count].numbers, name: nil), graph)
                .cast(to: .int64)
            isEven = (places & places.whole(1)) == 0
            let seed = UInt64(bitPattern: Int64(try call.int("seed"))) &+ RandomBits.golden
            let start = places.whole(Int(bitPattern: UInt(RandomBits.scrambled(seed))))
            let position = step == 2 ? places & places.whole(~1) : places
            bits = (start + position * places.whole(Int(bitPattern: UInt(RandomBits.golden)))).scrambled
        }

        static let golden: UInt64 = 0x9e37_79b9_7f4a_7c15
        static let factors: [UInt64] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb]

        private static func scrambled(_ seed: UInt64) -> UInt64 {
            var z = (seed ^ seed >> 30) &* factors[0]
            z = (z ^ z >> 27) &* factors[1]
            return z ^ z >> 31
        }
    }

    extension Term {
        /// The finalizer of SplitMix64 on int64, whose shifts fill up with the sign.
        fileprivate var scrambled: Term {
            func folded(_ z: Term, _ shift: Int) -> Term { z ^ z.top(64 - shift) }
            func factor(_ index: Int) -> Term { whole(Int(bitPattern: UInt(RandomBits.factors[index]))) }
            return folded(folded(folded(self, 30) * factor(0), 27) * factor(1), 31)
        }

        /// The upper bits of 64 as a number from 0 on.
        fileprivate func top(_ count: Int) -> Term {
            (self >> whole(64 - count)) & whole(1 << count - 1)
        }

        /// Integers below 2^bits, to which `offset` is added, divided by 2^bits.
        fileprivate func fraction(_ bits: Int, plus offset: Double) -> Term {
            (cast(to: .float32) + offset) * Double(sign: .plus, exponent: -bits, significand: 1)
        }

        /// Running sums along the last of three axes.
        fileprivate var running: Term {
            Term(
                graph.cumulativeSum(tensor, axis: 2, exclusive: false, reverse: false, name: nil), graph)
        }

        /// The last element along the last of three axes.
        fileprivate var last: Term {
            Term(graph.sliceTensor(tensor, dimension: 2, start: sizes[2] - 1, length: 1, name: nil), graph)
        }
    }
#endif
