#if canImport(Metal) && canImport(MetalPerformanceShadersGraph)
    import Foundation
    import MIL
    import Metal
    import Synchronization

    /// Memory that the GPU reads and writes. Buffers of results that are gone wait here for results to come; inputs are used
    /// where they lie if Metal can map them, else copied.
    final class MetalMemory: Sendable {
        private let device: any MTLDevice
        private let state = Mutex(State())
        /// Metal maps memory by whole pages only.
        static let page = Int(getpagesize())
        /// At most this much memory waits here: 256 MiB.
        static let limit = 256 << 20

        private struct State {
            var waiting: [Int: [FreeBuffer]] = [:]
            var waitingBytes = 0
            /// The buffers in use by their address, so that results which come back as inputs are known again.
            var lent: [UInt: WeakBuffer] = [:]
        }

        init(_ device: any MTLDevice) { self.device = device }

        /// Bytes that wait to be used again.
        var waitingBytes: Int { state.withLock { $0.waitingBytes } }

        /// A buffer of at least this size, its contents unknown.
        func take(_ byteCount: Int) throws -> MetalBuffer {
            guard byteCount <= device.maxBufferLength else {
                throw Failure(
                    .outOfMemory,
                    "\(byteCount >> 20) MiB are more than a buffer of this GPU holds, which is \(device.maxBufferLength >> 20) MiB."
                )
            }
            let size = MetalMemory.step(byteCount)
            let free =
                takeWaiting(size) ?? make(size)
                ?? {
                    clear(); return make(size)
                }()
            guard let free else {
                throw Failure(.outOfMemory, "Metal has no \(size >> 20) MiB to give.")
            }
            let buffer = MetalBuffer(free.buffer, of: self, keeping: nil)
            state.withLock { $0.lent[buffer.address] = WeakBuffer(buffer) }
            return buffer
        }

        /// A buffer with the elements of a tensor: the memory it lies in where Metal can use that, else a copy.
        func buffer(for tensor: Tensor) throws -> MetalBuffer {
            if let known = state.withLock({ $0.lent[UInt(bitPattern: tensor.pointer)]?.buffer }) { return known }
            return try map(tensor) ?? copy(of: tensor)
        }

        /// A buffer of its own with the elements of a tensor.
        func copy(of tensor: Tensor) throws -> MetalBuffer {
            let copy = try take(tensor.type.byteCount)
            copy.contents.copyMemory(from: tensor.pointer, byteCount: tensor.type.byteCount)
            return copy
        }

        /// The pages that a tensor lies in as a buffer; nil where it shares them with others, or the driver declines.
        private func map(_ tensor: Tensor) -> MetalBuffer? {
            let length = (tensor.type.byteCount + MetalMemory.page - 1) / MetalMemory.page * MetalMemory.page
            guard UInt(bitPattern: tensor.pointer) % UInt(MetalMemory.page) == 0, length <= device.maxBufferLength,
                tensor.byteOffset + length <= tensor.storage.wholeBytes,
                let buffer = device.makeBuffer(
                    bytesNoCopy: tensor.pointer, length: length, options: .storageModeShared, deallocator: nil)
            else { return nil }
            return MetalBuffer(buffer, of: self, keeping: tensor.storage)
        }

        private func takeWaiting(_ size: Int) -> FreeBuffer? {
            state.withLock { state in
                guard let free = state.waiting[size]?.popLast() else { return nil }
                state.waitingBytes -= size
                return free
            }
        }

        private func make(_ size: Int) -> FreeBuffer? {
            device.makeBuffer(length: size, options: .storageModeShared).map(FreeBuffer.init)
        }

        /// Gives back everything that waits.
        func clear() {
            // What is given back ends outside of the lock.
            let gone = state.withLock { state in
                defer { (state.waiting, state.waitingBytes) = ([:], 0) }
                return state.waiting
            }
            withExtendedLifetime(gone) {}
        }

        fileprivate func giveBack(_ buffer: any MTLBuffer, at address: UInt) {
            let free = FreeBuffer(buffer: buffer)
            state.withLock { state in
                state.lent[address] = nil
                guard state.waitingBytes + buffer.length <= MetalMemory.limit else { return }
                state.waiting[buffer.length, default: []].append(free)
                state.waitingBytes += buffer.length
            }
        }

        /// Sizes go in four steps a power of two, each of whole pages.
        static func step(_ byteCount: Int) -> Int {
            let pages = max((byteCount + page - 1) / page, 1)
            let shift = max(Int.bitWidth - pages.leadingZeroBitCount - 3, 0)
            return ((pages - 1) >> shift + 1) << shift * page
        }

        private struct WeakBuffer {
            weak var buffer: MetalBuffer?
            init(_ buffer: MetalBuffer) { self.buffer = buffer }
        }
    }

    /// A buffer that is not in use, so that it may go from thread to thread.
    private struct FreeBuffer: @unchecked Sendable {
        let buffer: any MTLBuffer
    }

    /// Memory of the GPU, held as long as it is referenced. The bytes are written once, by the code that asked for it,
    /// and only read after that, so that threads may share it.
    final class MetalBuffer: @unchecked Sendable {
        let buffer: any MTLBuffer
        let contents: UnsafeMutableRawPointer
        private let memory: MetalMemory
        /// The owner of memory that is not the pool's.
        private let owner: Storage?

        fileprivate init(_ buffer: any MTLBuffer, of memory: MetalMemory, keeping owner: Storage?) {
            self.buffer = buffer
            self.memory = memory
            self.owner = owner
            contents = buffer.contents()
        }

        deinit { if owner == nil { memory.giveBack(buffer, at: address) } }

        fileprivate var address: UInt { UInt(bitPattern: contents) }

        /// The bytes as a tensor. Those of less than a page are copied: a whole page would wait for so little.
        func tensor(_ type: TensorType) throws -> Tensor {
            if type.byteCount < MetalMemory.page {
                let tensor = try Tensor(uninitialized: type)
                tensor.pointer.copyMemory(from: contents, byteCount: type.byteCount)
                return tensor
            }
            // The closure holds the buffer; when the last tensor is gone, the buffer goes back to the pool.
            return Tensor(type, storage: Storage(wrapping: contents, byteCount: buffer.length) { [self] in _ = self })
        }
    }
#endif
