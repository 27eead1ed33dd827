#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Matrix products. MPSGraph multiplies floating-point numbers; complex products become four products,
    // and integer ones sums of all single products at once.

    extension MetalLowerings {
        static let linear: [Lowering] = [
            Lowering("matmul", .graphNumbers.union([.complex64]), refusal: tooLarge) { call, builder in
                let result = try builder.function.tensorType(call.operation.outputs[0])
                let (x, y) = (
                    try builder.term("x", call).cast(to: builder.dataType(result.dtype)),
                    try builder.term("y", call).cast(to: builder.dataType(result.dtype))
                )
                let product = MatrixProduct(
                    x: try call.type("x").shape, y: try call.type("y").shape,
                    transposeX: try call.bool("transpose_x"), transposeY: try call.bool("transpose_y"),
                    shape: try MatmulShape(
                        call.type("x").shape, call.type("y").shape, transposeX: call.bool("transpose_x"),
                        transposeY: call.bool("transpose_y")))
                return [product.of(x, y).reshaped(result.shape).tensor]
            }
        ]

        /// Products of integers are all in memory at once; there may be no more than this.
        private static let mostProducts = 1 << 26

        @Sendable private static func tooLarge(_ call: Call) -> String? {
            guard let x = try? call.type("x"), let y = try? call.type("y"), x.dtype.isInteger,
                let flipX = try? call.bool("transpose_x"), let flipY = try? call.bool("transpose_y"),
                let shape = try? MatmulShape(x.shape, y.shape, transposeX: flipX, transposeY: flipY)
            else { return nil }
            let count = (shape.batch + [shape.rows, shape.inner, shape.columns]).reduce(1.0) { $0 * Double($1) }
            guard count > Double(mostProducts) else { return nil }
            return "MPSGraph multiplies matrices of floating-point numbers; \(count) products of \(x.dtype.name) are "
                + "more than \(mostProducts) to be summed one by one."
        }
    }

    /// A matrix product brought to two matrices, or to two equally long rows of them.
    private struct MatrixProduct {
        let x: [Int]
        let y: [Int]
        let transposeX: Bool
        let transposeY: Bool
        let shape: MatmulShape

        func of(_ x: Term, _ y: Term) -> Term {
            guard x.isComplex else { return real(x, y) }
            let (a, b) = (Parts(x), Parts(y))
            return Parts(real(a.re, b.re) - real(a.im, b.im), real(a.re, b.im) + real(a.im, b.re)).joined
        }

        private func real(_ left: Term, _ right: Term) -> Term {
            let batch = shape.batch.reduce(1, *)
            // One right matrix for all left ones multiplies their rows at once.
            if left.isFloat, y.dropLast(2).allSatisfy({ $0 == 1 }), !transposeX {
                let rows = left.reshaped([batch * shape.rows, shape.inner])
                return multiplied(
                    rows, turned(right.reshaped([1] + sizes(y, isRight: true)), transposeY).reshaped(inner))
            }
            return multiplied(
                turned(matrices(left, sizes(x, isRight: false), batch), transposeX),
                turned(matrices(right, sizes(y, isRight: true), batch), transposeY))
        }

        private var inner: [Int] { [shape.inner, shape.columns] }

        /// From 32767 rows on, MPSGraph adds what lies behind them in memory (pytorch/pytorch 195163), so that long sums are
        /// made of parts.
        private static let longestSum = 1 << 14

        private func multiplied(_ x: Term, _ y: Term) -> Term {
            if !x.isFloat { return summed(x, y) }
            let (rank, most) = (x.sizes.count, MatrixProduct.longestSum)
            if shape.inner > most, x.sizes[rank - 1] > most {
                let parts = stride(from: 0, to: shape.inner, by: most).map { start in
                    let length = min(most, shape.inner - start)
                    return multiplied(
                        x.sliced(rank - 1, begin: start, length: length),
                        y.sliced(rank - 2, begin: start, length: length))
                }
                return parts.dropFirst().reduce(parts[0], +)
            }
            return Term(x.graph.matrixMultiplication(primary: x.tensor, secondary: y.tensor, name: nil), x.graph)
        }

        /// A product of integers, which wraps as in their own type: each row times each column, then the sums.
        private func summed(_ x: Term, _ y: Term) -> Term {
            let wide: MPSDataType = x.width < 32 ? .int32 : x.type == .uInt32 ? .int64 : x.type
            let (left, right) = (x.cast(to: wide), y.cast(to: wide))
            let products =
                left.reshaped(x.sizes + [1]) * right.reshaped([y.sizes[0], 1] + y.sizes[1...])
            return Term(x.graph.reductionSum(with: products.tensor, axes: [2].numbers, name: nil), x.graph)
                .cast(to: x.type)
        }

        /// The last two axes as they lie; a vector is a row on the left and a column on the right.
        private func sizes(_ operand: [Int], isRight: Bool) -> [Int] {
            operand.count > 1 ? Array(operand.suffix(2)) : isRight ? operand + [1] : [1] + operand
        }

        /// [batch, rows, columns], where the axes in front have been broadcast to the common ones.
        private func matrices(_ operand: Term, _ matrix: [Int], _ batch: Int) -> Term {
            let own = operand.sizes.dropLast(2)
            if own.reduce(1, *) == batch { return operand.reshaped([batch] + matrix) }
            let aligned = Array(repeating: 1, count: shape.batch.count - own.count) + own
            return operand.reshaped(aligned + matrix).broadcast(shape.batch + matrix).reshaped([batch] + matrix)
        }

        private func turned(_ matrices: Term, _ isTransposed: Bool) -> Term {
            guard isTransposed else { return matrices }
            return Term(
                matrices.graph.transposeTensor(matrices.tensor, dimension: 1, withDimension: 2, name: nil),
                matrices.graph)
        }
    }
#endif
