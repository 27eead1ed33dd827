// How oneDNN gets a view. This is the one place that decides between describing a view, copying it and leaving it to the
// engine's own kernels, which take any strides.
#if ONEDNN
    import COneDNN
    import MIL

    /// What becomes of a view that a kernel of oneDNN is to read.
    enum Handover {
        /// Its strides are such that oneDNN can describe it.
        case describe
        /// They are not, or oneDNN would read it slowly: it gets a dense copy.
        case copy
        /// The view shows elements more than once, so a copy would take more memory than what it shows: the engine's own
        /// kernel reads it in place.
        case portable

        /// For operands whose axes are to be dense in `order`, outermost first.
        init(_ view: View, order: [Int]) {
            self.init(view, isReadable: view.isDense(order: order))
        }

        /// For matrices in the last two axes, of which one has its elements next to each other.
        init(matrices view: View) {
            self.init(
                view,
                isReadable: view.isNested
                    && view.shape.indices.suffix(2).contains { view.shape[$0] == 1 || view.strides[$0] == 1 })
        }

        private init(_ view: View, isReadable: Bool) {
            self = isReadable ? .describe : view.repeatsElements ? .portable : .copy
        }
    }

    /// A view as an argument of a primitive, with its description.
    struct Operand {
        fileprivate let view: View
        fileprivate let order: [Int]
        fileprivate let isCopied: Bool
        let layout: Descriptor

        var handle: onednn_layout { layout.handle }

        /// Matrices in the last two axes; nil where the engine's own kernel is to read them.
        init?(matrices view: View) throws {
            try self.init(view, Handover(matrices: view), order: Array(view.shape.indices))
        }

        /// A value dense in `order`, outermost first; nil where the engine's own kernel is to read it.
        init?(_ view: View, order: [Int]) throws {
            try self.init(view, Handover(view, order: order), order: order)
        }

        /// A result, or what a result is added to: memory that the engine laid out itself, dense in `order`.
        init(result view: View, order: [Int]? = nil) throws {
            let order = order ?? Array(view.shape.indices)
            (self.view, self.order, isCopied) = (view, order, false)
            layout = try Descriptor(view.shape, strides: view.regular(order: order).strides)
        }

        private init?(_ view: View, _ handover: Handover, order: [Int]) throws {
            if case .portable = handover { return nil }
            if case .copy = handover { isCopied = true } else { isCopied = false }
            (self.view, self.order) = (view, order)
            let strides = isCopied ? View.strides(of: view.shape, order: order) : view.regular(order: order).strides
            layout = try Descriptor(view.shape, strides: strides)
        }
    }

    extension Lowerer {
        /// An operand as an argument; one that oneDNN cannot read as it lies is copied by a step.
        func argument(_ index: Int32, _ operand: Operand, for call: Call) -> PrimitiveCall.Argument {
            let view = operand.isCopied ? dense(operand.view, order: operand.order, for: call) : operand.view
            return PrimitiveCall.Argument(index: index, layout: operand.layout, source: .view(view))
        }
    }
#endif
