#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import MetalPerformanceShadersGraph

    // Matrix products. MPSGraph multiplies floating-point numbers; complex ones become four products.

    extension MetalLowerings {
        static let linear: [Lowering] = [
            Lowering("matmul", .graphFloats.union([.complex64])) { call, builder in
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
            let (a, b) = (x.realPart, x.imaginaryPart)
            let (c, d) = (y.realPart, y.imaginaryPart)
            return Term(real: real(a, c) - real(b, d), imaginary: real(a, d) + real(b, c))
        }

        private func real(_ left: Term, _ right: Term) -> Term {
            let batch = shape.batch.reduce(1, *)
            // One right matrix for all left ones multiplies their rows at once.
            if y.dropLast(2).allSatisfy({ $0 == 1 }), !transposeX {
                let rows = left.reshaped([batch * shape.rows, shape.inner])
                return multiplied(
                    rows, turned(right.reshaped([1] + sizes(y, isRight: true)), transposeY).reshaped(inner))
            }
            return multiplied(
                turned(matrices(left, sizes(x, isRight: false), batch), transposeX),
                turned(matrices(right, sizes(y, isRight: true), batch), transposeY))
        }

        private var inner: [Int] { [shape.inner, shape.columns] }

        private func multiplied(_ x: Term, _ y: Term) -> Term {
            Term(x.graph.matrixMultiplication(primary: x.tensor, secondary: y.tensor, name: nil), x.graph)
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
